"""What all tests share."""

import gc
import sys

from loguru import logger

import config.privacy  # noqa: F401 - before onnxruntime is loaded

# Pipecat logs every link of every pipeline at DEBUG; a failed test shows what matters.
logger.remove()
logger.add(sys.stderr, level="WARNING")


def pytest_collection_finish() -> None:
    """Leave the tests themselves out of what the collector goes through, as a server does its code.

    They are some hundred thousand objects: each full collection held up the calls of a server in
    this process for 0.4 s.
    """
    gc.collect()
    gc.freeze()
