"""What goes wrong with Google, as this server's own errors."""

from google.api_core.exceptions import (
    DeadlineExceeded,
    GoogleAPICallError,
    InternalServerError,
    ServiceUnavailable,
)
from google.auth.exceptions import RefreshError, TransportError
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from config.errors import ProviderError
from services.failures import Failures, category

failure = Failures("google", "Google").failure


def cloud_category(error: BaseException) -> ErrorCategory | None:
    """Pipecat's word for an error of Google Cloud's clients; None for one of nobody's."""
    if isinstance(error, ProviderError):
        return category(error)
    if isinstance(error, ServiceUnavailable | DeadlineExceeded | TransportError):
        return ErrorCategory.CONNECTIVITY
    if isinstance(error, InternalServerError) and "from Core" in str(error):
        # gRPC's own word where the server hung up, for whatever reason, amid a write.
        return ErrorCategory.CONNECTIVITY
    if isinstance(error, RefreshError):
        return ErrorCategory.AUTHENTICATION
    if isinstance(error, GoogleAPICallError) and isinstance(error.code, int):
        return classify_http_status_code(error.code)
    return None
