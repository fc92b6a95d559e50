"""What goes wrong with Sarvam, as this server's own errors."""

from typing import Any

from services.failures import Failures

FAILURES = Failures("sarvam", "Sarvam")
#: Sarvam's codes, docs.sarvam.ai, errors; what is none of them is the server's own failure.
_KINDS = {
    "invalid_api_key_error": "auth",
    "rate_limit_exceeded_error": "busy",
    "insufficient_quota_error": "busy",
    "invalid_request_error": "refused",
    "unprocessable_entity_error": "refused",
}
_MAX_CHARS = 200


def kind_of(told: dict[str, Any]) -> str:
    """The kind of failure that an error message tells of."""
    return _KINDS.get(str(told.get("code")), "failed")


def words_of(told: dict[str, Any]) -> str:
    """What the message says; its text stands under one of two names."""
    text = told.get("message") or told.get("error") or told.get("code") or "an error"
    return str(text)[:_MAX_CHARS]
