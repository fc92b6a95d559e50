"""What all tests share."""

import gc
import sys

from hypothesis import HealthCheck, settings
from loguru import logger

import config.privacy  # noqa: F401 - before onnxruntime is loaded

# Pipecat logs every link of every pipeline at DEBUG; a failed test shows what matters.
logger.remove()
logger.add(sys.stderr, level="WARNING")

# The machine may be busy, and stand still in any example: how long one takes proves nothing.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Leave the tests themselves out of what the collector goes through, as a server does its code.

    They are some hundred thousand objects: each full collection held up the calls of a server in
    this process for 0.4 s.
    """
    gc.collect()
    gc.freeze()
