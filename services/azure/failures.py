"""What goes wrong with Azure's speech, as this server's own errors."""

from typing import Any

from azure.cognitiveservices.speech import CancellationErrorCode
from pipecat.utils.errors import ErrorCategory

from config.errors import ProviderError, ProviderStage
from services.failures import Failures

failure = Failures("azure", "Azure").failure

_KINDS = {
    CancellationErrorCode.AuthenticationFailure: "auth",
    CancellationErrorCode.Forbidden: "auth",
    CancellationErrorCode.BadRequest: "refused",
    CancellationErrorCode.TooManyRequests: "busy",
    CancellationErrorCode.ConnectionFailure: "dropped",
    CancellationErrorCode.ServiceTimeout: "timeout",
}
_CATEGORIES = {
    "auth": ErrorCategory.AUTHENTICATION,
    "refused": ErrorCategory.INVALID_REQUEST,
    "busy": ErrorCategory.RATE_LIMIT,
    "dropped": ErrorCategory.CONNECTIVITY,
    "timeout": ErrorCategory.CONNECTIVITY,
}


def cancelled(stage: ProviderStage, details: Any) -> ProviderError:
    """The error for the SDK's cancellation details.

    Args:
        details: Of a result; their words name the address, never the key.
    """
    code = getattr(details, "code", None) or getattr(details, "error_code", None)
    kind = _KINDS.get(code, "failed")
    words = (details.error_details or "cancelled").split(" USP state")[0].split(" SessionId")[0]
    return failure(stage, kind, words[:300], retryable=kind not in ("auth", "refused"))


def category(error: ProviderError) -> ErrorCategory:
    """Pipecat's word for it."""
    kind = error.code.removeprefix(f"{error.stage}_")
    return _CATEGORIES.get(kind, ErrorCategory.SERVER)
