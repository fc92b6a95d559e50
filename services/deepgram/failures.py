"""What goes wrong with Deepgram, as this server's own errors."""

from typing import Any, Final

from services.failures import Failures

FAILURES: Final = Failures("deepgram", "Deepgram")


def words_of(message: dict[str, Any]) -> str:
    """What an error message or a warning says."""
    code = message.get("code") or message.get("err_code")
    return f"{code}: {message.get('description') or message.get('err_msg')}"


def failure_in(message: dict[str, Any]) -> tuple[str, str] | None:
    """The kind of failure that a message of a voice tells of, and its words; None for none."""
    kind, words = message.get("type"), words_of(message)
    if not isinstance(kind, str):
        return "failed", "what came is no message"
    if kind == "Error":
        return "failed", words
    # More than twenty in a minute: the rest of this sentence will never be said.
    is_too_often = kind == "Warning" and "flush" in words.casefold()
    return ("busy", words) if is_too_often else None
