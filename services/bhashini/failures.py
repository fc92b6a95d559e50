"""What goes wrong with Bhashini, as this server's own errors."""

from pipecat.utils.errors import ErrorCategory

from config.errors import ProviderError, ProviderStage

NAME = "bhashini"
_STATUS_CODES = {401: "auth", 403: "auth", 429: "busy", 503: "busy"}
_CATEGORIES = {
    "busy": ErrorCategory.RATE_LIMIT,
    "timeout": ErrorCategory.CONNECTIVITY,
    "unreachable": ErrorCategory.CONNECTIVITY,
    "dropped": ErrorCategory.CONNECTIVITY,
}


def failure(
    stage: ProviderStage, kind: str, message: str, *, retryable: bool = True
) -> ProviderError:
    """An error whose code is ``<stage>_<kind>``."""
    return ProviderError(
        f"{stage}_{kind}",
        f"Bhashini {stage}: {message}",
        provider=NAME,
        stage=stage,
        retryable=retryable,
    )


def refused(stage: ProviderStage, status: int) -> ProviderError:
    """The error for an HTTP status that is none of success."""
    retryable = status in (408, 429) or status >= 500
    kind = _STATUS_CODES.get(status, "failed" if retryable else "refused")
    return failure(stage, kind, f"the server answered {status}", retryable=retryable)


def category(error: ProviderError) -> ErrorCategory:
    """Pipecat's word for it.

    Never one that Pipecat takes for permanent: it would give the service no more work, and
    leave the rest of the call deaf or mute without another word.
    """
    kind = error.code.removeprefix(f"{error.stage}_")
    return _CATEGORIES.get(kind, ErrorCategory.SERVER)
