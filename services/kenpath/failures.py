"""What goes wrong with Kenpath, as this server's own errors."""

from pipecat.utils.errors import ErrorCategory

from config.errors import ProviderError

_STATUS_CODES = {401: "auth", 403: "auth", 429: "busy", 503: "busy"}
_CATEGORIES = {
    "busy": ErrorCategory.RATE_LIMIT,
    "timeout": ErrorCategory.CONNECTIVITY,
    "unreachable": ErrorCategory.CONNECTIVITY,
    "dropped": ErrorCategory.CONNECTIVITY,
}


def failure(kind: str, message: str, *, retryable: bool = True) -> ProviderError:
    """An error whose code is ``llm_<kind>``."""
    return ProviderError(
        f"llm_{kind}", f"Kenpath: {message}", provider="kenpath", stage="llm", retryable=retryable
    )


def refused(status: int) -> ProviderError:
    """The error for an HTTP status that is none of success."""
    retryable = status in (408, 429) or status >= 500
    kind = _STATUS_CODES.get(status, "failed" if retryable else "refused")
    return failure(kind, f"the server answered {status}", retryable=retryable)


def category(error: ProviderError) -> ErrorCategory:
    """Pipecat's word for it; never one that would give the service no more work."""
    return _CATEGORIES.get(error.code.removeprefix("llm_"), ErrorCategory.SERVER)
