import config.privacy  # noqa: F401 - before onnxruntime is loaded
