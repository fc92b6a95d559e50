"""What goes wrong with a vendor that this server speaks to itself, as this server's own errors.

Pipecat is imported for one word: the category that an ``ErrorFrame`` carries, which every
service that fails has to give.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipecat.utils.errors import ErrorCategory

from config.errors import ProviderError, ProviderStage

_STATUS_KINDS: Mapping[int, str] = {401: "auth", 403: "auth", 429: "busy", 503: "busy"}
_CATEGORIES: Mapping[str, ErrorCategory] = {
    "busy": ErrorCategory.RATE_LIMIT,
    "timeout": ErrorCategory.CONNECTIVITY,
    "unreachable": ErrorCategory.CONNECTIVITY,
    "dropped": ErrorCategory.CONNECTIVITY,
}


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes one vendor's errors.

    Attributes:
        provider: The vendor's name in agent files.
        title: Its name for people, with which messages begin.
    """

    provider: str
    title: str

    def failure(
        self,
        stage: ProviderStage,
        kind: str,
        message: str,
        *,
        retryable: bool = True,
        retry_after_seconds: float = 0.0,
    ) -> ProviderError:
        """An error whose code is ``<stage>_<kind>``."""
        return ProviderError(
            f"{stage}_{kind}",
            f"{self.title} {stage}: {message}",
            provider=self.provider,
            stage=stage,
            retryable=retryable,
            retry_after_seconds=retry_after_seconds,
        )

    def refused(
        self,
        stage: ProviderStage,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
    ) -> ProviderError:
        """The error for an HTTP status that is none of success.

        Args:
            detail: What the server said about it, fit to be shown.
            headers: Of its answer, for ``Retry-After``.
        """
        retryable = status in (408, 429) or status >= 500
        kind = _STATUS_KINDS.get(status, "failed" if retryable else "refused")
        message = f"the server answered {status}" + (f": {detail}" if detail else "")
        return self.failure(
            stage,
            kind,
            message,
            retryable=retryable,
            retry_after_seconds=_seconds((headers or {}).get("Retry-After")),
        )


def _seconds(header: str | None) -> float:
    """``Retry-After`` in seconds (RFC 9110, section 10.2.3); its dates are not read."""
    text = (header or "").strip()
    return float(text) if text.replace(".", "", 1).isdecimal() else 0.0


def category(error: ProviderError) -> ErrorCategory:
    """Pipecat's word for it.

    Never one that Pipecat takes for permanent: it would give the service no more work, and
    leave the rest of the call deaf or mute without another word.
    """
    kind = error.code.removeprefix(f"{error.stage}_")
    return _CATEGORIES.get(kind, ErrorCategory.SERVER)
