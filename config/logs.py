"""Where log lines go."""

import sys
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record


#: As loguru's own, without the function's name and with the call that a line belongs to.
_LINE = (
    "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> | <level>{level: <8}</level> | "
    "<cyan>{name}</cyan>:<cyan>{line}</cyan> - {call}<level>{message}</level>\n{exception}"
)


def set_up_logging(level: str) -> None:
    """One line per event on standard error, without secrets in tracebacks."""
    logger.remove()
    logger.add(
        sys.stderr,
        level=level,
        format=_line,
        filter=_worth_a_line,
        backtrace=False,
        diagnose=False,
    )


def _line(record: "Record") -> str:
    """How a line is written; what is done for a call begins with its id (``contextualize``)."""
    return _LINE.replace("{call}", "call {extra[call]}: " if "call" in record["extra"] else "")


def _worth_a_line(record: "Record") -> bool:
    """Everything but the greeting that Pipecat logs when it is imported."""
    return record["name"] != "pipecat"
