"""How a vendor failed, in one vocabulary for all of them."""

from dataclasses import dataclass
from typing import Final, Literal

from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory

from config.errors import ProviderError

#: The ``kind`` of metrics and of a call record's ``degraded`` list.
FailureKind = Literal[
    "auth",  # it refuses the key
    "rejected",  # it refuses the request: an unknown model, voice or language
    "rate_limit",  # too much was asked of it
    "server",  # it says that it failed itself
    "dropped",  # it could not be reached, or hung up
    "connect_timeout",  # it did not become ready
    "no_result",  # it became ready and gave nothing
    "stalled",  # it gave something and stopped
    "slow",  # it speaks more slowly than it is heard
    "flood",  # it gave far more than there was to say
    "config",  # it could not be built
    "error",  # anything else it reported
]

_KINDS: Final[dict[ErrorCategory, FailureKind]] = {
    ErrorCategory.AUTHENTICATION: "auth",
    ErrorCategory.AUTHORIZATION: "auth",
    ErrorCategory.INVALID_REQUEST: "rejected",
    ErrorCategory.RATE_LIMIT: "rate_limit",
    ErrorCategory.QUOTA: "rate_limit",
    ErrorCategory.CONNECTIVITY: "dropped",
    ErrorCategory.SERVER: "server",
}
#: The same of our own errors, whose codes are ``<stage>_<word>``. Services of ours tell Pipecat
#: of no category that it would take for the end of the service; these say what it was.
_WORDS: Final[dict[str, FailureKind]] = {
    "auth": "auth",
    "refused": "rejected",
    "busy": "rate_limit",
    "timeout": "no_result",
}
#: Nothing changes by trying again.
_PERMANENT: Final = frozenset({"auth", "rejected", "config"})
#: A longer ``Retry-After`` than this is taken for this.
MAX_RETRY_AFTER_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of one vendor.

    Attributes:
        kind: What it was.
        detail: For people; never holds a key.
        retry_after_seconds: How long it asked to be left alone; 0 where it did not.
    """

    kind: FailureKind
    detail: str
    retry_after_seconds: float = 0.0

    @property
    def permanent(self) -> bool:
        """Whether trying the same again cannot help."""
        return self.kind in _PERMANENT


class MemberFailed(Exception):
    """A vendor's service could not be opened."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


def failure_of(frame: ErrorFrame) -> Failure | None:
    """What an error that a service reported means; None where it is not the vendor's."""
    category = frame.category or ErrorCategory.UNKNOWN
    if category is ErrorCategory.APPLICATION:
        return None
    kind = _KINDS.get(category, "error")
    if isinstance(frame.exception, ProviderError):
        error = frame.exception
        kind = _WORDS.get(error.code.removeprefix(f"{error.stage}_"), kind)
        if kind == "error":
            kind = "server" if error.retryable else "rejected"
    return Failure(kind, frame.error, _retry_after_seconds(frame.exception))


def _retry_after_seconds(error: BaseException | None) -> float:
    """The header ``Retry-After`` in seconds (RFC 9110, section 10.2.3); its dates are not read."""
    answer = getattr(error, "response", None) or error
    headers = getattr(answer, "headers", None)
    value = headers.get("retry-after") if headers is not None else None
    given = getattr(error, "retry_after_seconds", None) if value is None else value
    try:
        seconds = float(given) if given is not None else 0.0
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
