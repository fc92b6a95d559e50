"""Which of several causes a call ends for, and what is told of it."""

import asyncio

import pytest

from config.errors import ConfigError, ProviderError
from sessions.call_ending import CallEnding
from sessions.endings import UNUSABLE

NO_VOICE = ProviderError("refused", "no voice", provider="p", stage="tts", retryable=False)


async def test_the_first_cause_counts() -> None:
    end = CallEnding("s")
    assert not end.settled
    end.end("agent_hangup")
    end.end("silence")
    end.fail("wire_error", "too_many_errors", "no")
    assert end.settled
    assert await end.cause() == "agent_hangup"
    assert end.failure is None, "what came after the end is told to nobody"


async def test_a_failure_is_what_the_peer_is_told() -> None:
    end = CallEnding("s")
    end.fail("wire_error", "too_many_errors", "twenty in a row")
    assert await end.cause() == "wire_error"
    assert end.failure == ("too_many_errors", "twenty in a row")
    assert not end.gone.is_set()


async def test_a_caller_who_leaves_during_the_farewell_hears_no_more_of_it() -> None:
    end = CallEnding("s")
    end.end("max_duration")
    end.leave("left")
    assert end.gone.is_set()
    assert await end.cause() == "max_duration"


async def test_waiting_for_the_end_has_a_limit_and_takes_nothing_away() -> None:
    end = CallEnding("s")
    await end.within(0)
    assert not end.settled
    end.leave("lost")
    async with asyncio.timeout(5):
        await end.within(1000)
    assert await end.cause() == "peer_lost"


@pytest.mark.parametrize(
    ("error", "gone", "cause", "unable", "failure"),
    [
        (OSError("reset"), True, "peer_lost", False, None),
        (OSError("reset"), False, "internal_error", False, None),
        (NO_VOICE, False, "provider_failed", True, None),
        (ConfigError("no such voice"), False, "provider_failed", True, UNUSABLE),
    ],
)
async def test_what_breaks_a_call_off(
    error: OSError | ConfigError | ProviderError,
    gone: bool,
    cause: str,
    unable: bool,
    failure: tuple[str, str] | None,
) -> None:
    end = CallEnding("s")
    if gone:
        end.gone.set()
    assert end.cause_of(error) == cause
    assert (end.unable, end.failure) == (unable, failure)
