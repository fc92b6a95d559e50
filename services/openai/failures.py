"""What goes wrong with a server that speaks OpenAI's protocol.

The package's own exceptions go on to the call as they are: their ``response`` holds the
``Retry-After`` that a busy server gave. What is told of them names no key and no text.
"""

import json

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from pipecat.utils.http import TIMEOUT_EXCEPTIONS

from config.errors import ProviderError, ProviderStage

#: Error codes of a server that say more than the status they come with, or come in a stream.
_CODES = {
    "insufficient_quota": ErrorCategory.QUOTA,
    "rate_limit_exceeded": ErrorCategory.RATE_LIMIT,
    "invalid_api_key": ErrorCategory.AUTHENTICATION,
    "model_not_found": ErrorCategory.INVALID_REQUEST,
}
_MAX_CODE_CHARS = 60
_TIMEOUTS: tuple[type[Exception], ...] = (TimeoutError, *TIMEOUT_EXCEPTIONS)
#: The package passes on what its HTTP client raises while a body that is no stream is read.
_LOST: tuple[type[Exception], ...] = (APIConnectionError, httpx2.RequestError, OSError)


class BrokenAnswerError(Exception):
    """An answer ended, and not as the protocol has it."""


#: What a vendor, its server or the way to it can be blamed for.
FAILURES: tuple[type[Exception], ...] = (
    APIError,
    BrokenAnswerError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    *_TIMEOUTS,
    *_LOST,
)


def category_of(error: Exception) -> ErrorCategory | None:
    """Pipecat's word for it; None where it is nothing of :data:`FAILURES`."""
    if isinstance(error, (*_LOST, *_TIMEOUTS)):
        return ErrorCategory.CONNECTIVITY
    named = _CODES.get(_code(error) or "")
    if isinstance(error, APIStatusError):
        return named or classify_http_status_code(error.status_code)
    if isinstance(error, APIError):
        return named or ErrorCategory.SERVER
    return ErrorCategory.SERVER if isinstance(error, FAILURES) else None


def described(title: str, stage: ProviderStage, error: Exception) -> str:
    """For people: what the vendor did."""
    return f"{title} {stage}: {_deed(error)}"


def provider_error(
    provider: str, title: str, stage: ProviderStage, error: Exception
) -> ProviderError:
    """The same as one of this server's own errors, for work outside a call."""
    category = category_of(error) or ErrorCategory.UNKNOWN
    kinds = {
        ErrorCategory.CONNECTIVITY: "unreachable",
        ErrorCategory.RATE_LIMIT: "busy",
        ErrorCategory.QUOTA: "busy",
        ErrorCategory.AUTHENTICATION: "auth",
        ErrorCategory.AUTHORIZATION: "auth",
        ErrorCategory.INVALID_REQUEST: "refused",
    }
    return ProviderError(
        f"{stage}_{kinds.get(category, 'failed')}",
        described(title, stage, error),
        provider=provider,
        stage=stage,
        retryable=not category.is_permanent,
    )


def _deed(error: Exception) -> str:
    if isinstance(error, (APITimeoutError, *_TIMEOUTS)):
        return "no answer in time"
    if isinstance(error, _LOST):
        return "it could not be reached, or hung up"
    code = _code(error)
    reason = f" ({code})" if code else ""
    if isinstance(error, APIStatusError):
        return f"the server answered {error.status_code}{reason}"
    if isinstance(error, APIError):
        return f"the server broke off with an error{reason}"
    if isinstance(error, BrokenAnswerError):
        return str(error)
    return f"the answer is not the documented one ({type(error).__name__})"


def _code(error: Exception) -> str | None:
    """The server's word for what is wrong, where it is one."""
    for given in (getattr(error, "code", None), getattr(error, "type", None)):
        if isinstance(given, str) and len(given) <= _MAX_CODE_CHARS and given.isidentifier():
            return given
    return None
