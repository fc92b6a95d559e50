"""Vendors' errors in one vocabulary."""

import pytest
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory

from bot.chains.failures import Failure, failure_of
from services.failures import Failures, category

FAILURES = Failures("asha", "Asha")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "auth"), (403, "auth"), (404, "rejected"), (429, "rate_limit"), (500, "server")],
)
def test_a_status_that_a_client_of_ours_was_given(status: int, kind: str) -> None:
    error = FAILURES.refused("tts", status, headers={"Retry-After": "7"})
    failure = failure_of(ErrorFrame(error.message, exception=error, category=category(error)))
    assert failure == Failure(kind, error.message, 7.0)  # type: ignore[arg-type]
    assert failure.permanent == (kind in ("auth", "rejected"))


@pytest.mark.parametrize("header", [None, "", "Wed, 21 Oct 2026 07:28:00 GMT", "-3", "soon"])
def test_a_retry_after_that_is_no_number_of_seconds(header: str | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    assert FAILURES.refused("stt", 429, headers=headers).retry_after_seconds == 0.0


def test_who_took_too_long_gave_no_result() -> None:
    error = FAILURES.failure("stt", "timeout", "no answer in 5 s")
    failure = failure_of(ErrorFrame("", exception=error, category=category(error)))
    assert failure is not None and failure.kind == "no_result"


def test_an_error_of_ours_is_no_vendors() -> None:
    assert failure_of(ErrorFrame("a mistake", category=ErrorCategory.APPLICATION)) is None
