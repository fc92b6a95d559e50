"""What this provider's failures look like to the rest of the server."""

from config.errors import ProviderError

PROVIDER = "offline"


def recognizer_error(code: str, message: str, *, retryable: bool = False) -> ProviderError:
    """A failure of the offline recogniser."""
    return ProviderError(code, message, provider=PROVIDER, stage="stt", retryable=retryable)
