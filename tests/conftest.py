"""What all tests share."""

import sys

from loguru import logger

import config.privacy  # noqa: F401 - before onnxruntime is loaded

# Pipecat logs every link of every pipeline at DEBUG; a failed test shows what matters.
logger.remove()
logger.add(sys.stderr, level="WARNING")
