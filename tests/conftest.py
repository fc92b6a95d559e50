"""What all tests share."""

import sys

from loguru import logger

# Pipecat logs every link of every pipeline at DEBUG; a failed test shows what matters.
logger.remove()
logger.add(sys.stderr, level="WARNING")
