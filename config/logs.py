"""Where log lines go."""

import sys
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record


def set_up_logging(level: str) -> None:
    """One line per event on standard error, without secrets in tracebacks."""
    logger.remove()
    logger.add(sys.stderr, level=level, filter=_worth_a_line, backtrace=False, diagnose=False)


def _worth_a_line(record: "Record") -> bool:
    """Everything but the greeting that Pipecat logs when it is imported."""
    return record["name"] != "pipecat"
