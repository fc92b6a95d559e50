"""What goes wrong with ElevenLabs, as this server's own errors."""

import json
from typing import Any, Final

from pipecat.utils.errors import ErrorCategory

from services.failures import Failures

FAILURES: Final = Failures("elevenlabs", "ElevenLabs")
#: What its messages call an error; anything else is a failure of the server's.
CATEGORIES: Final = {
    "auth_error": ErrorCategory.AUTHENTICATION,
    "invalid_api_key": ErrorCategory.AUTHENTICATION,
    "unaccepted_terms": ErrorCategory.AUTHORIZATION,
    "quota_exceeded": ErrorCategory.QUOTA,
    "rate_limited": ErrorCategory.RATE_LIMIT,
    "queue_overflow": ErrorCategory.RATE_LIMIT,
    "resource_exhausted": ErrorCategory.RATE_LIMIT,
    "input_error": ErrorCategory.INVALID_REQUEST,
    "invalid_request": ErrorCategory.INVALID_REQUEST,
    "chunk_size_exceeded": ErrorCategory.INVALID_REQUEST,
}


def read(message: str | bytes) -> dict[str, Any]:
    """A message of ElevenLabs'.

    Raises:
        ConnectionError: It is none; nothing that follows can be trusted.
    """
    try:
        data = json.loads(message)
    except ValueError as error:
        raise ConnectionError("ElevenLabs sent what is no message") from error
    if not isinstance(data, dict):
        raise ConnectionError("ElevenLabs sent what is no message")
    return data
