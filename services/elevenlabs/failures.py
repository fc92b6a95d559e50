"""What goes wrong with ElevenLabs, as this server's own errors."""

from typing import Final

from services.failures import Failures

FAILURES: Final = Failures("elevenlabs", "ElevenLabs")
#: What its messages call an error; anything else is a failure of the server's.
_KINDS: Final = {
    "auth_error": "auth",
    "invalid_api_key": "auth",
    "unaccepted_terms": "forbidden",
    "quota_exceeded": "quota",
    "rate_limited": "busy",
    "queue_overflow": "busy",
    "resource_exhausted": "busy",
    "input_error": "refused",
    "invalid_request": "refused",
    "chunk_size_exceeded": "refused",
}


def kind_of(word: object) -> str:
    """The kind of failure that ElevenLabs' own word for it means."""
    return _KINDS.get(str(word), "failed")
