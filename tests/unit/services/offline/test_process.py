"""The recogniser's process: used by many, replaced when it dies, given up when it hangs."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from config.errors import ProviderError
from services.offline import process as process_module
from services.offline.process import RecognizerProcess
from services.offline.vocabulary import Vocabulary
from tests.unit.services.offline.speech import spoken

VOCABULARY = Vocabulary(("talk to a person", "cancel my booking"), "en-us")


@pytest.fixture
def process() -> Iterator[RecognizerProcess]:
    made = RecognizerProcess(deadline_seconds=60)
    yield made
    made.close()


async def hear(process: RecognizerProcess) -> str:
    pcm = spoken("cancel my booking", "en-us+m1")
    heard = await process.recognize(VOCABULARY, pcm, rate_hz=8_000, sensitivity=0.5)
    return heard.text if heard.accepted else ""


async def test_nothing_runs_until_it_is_needed(process: RecognizerProcess) -> None:
    assert process.pid is None
    await process.prepare(VOCABULARY)
    assert process.pid is not None


async def test_calls_share_one_process(process: RecognizerProcess) -> None:
    assert await asyncio.gather(*(hear(process) for _ in range(4))) == ["cancel my booking"] * 4


async def test_a_process_that_died_is_replaced_without_losing_the_utterance(
    process: RecognizerProcess,
) -> None:
    await process.prepare(VOCABULARY)
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert await hear(process) == "cancel my booking"
    assert process.pid not in (None, first)


async def test_a_vocabulary_that_cannot_be_used_is_an_error_and_not_the_end(
    process: RecognizerProcess,
) -> None:
    with pytest.raises(ProviderError, match="no voice 'klingon'"):
        await process.prepare(Vocabulary(("qapla",), "klingon"))
    assert await hear(process) == "cancel my booking"


async def test_a_process_that_hangs_is_given_up() -> None:
    hanging = RecognizerProcess(
        (sys.executable, "-c", "import signal; signal.pause()"), deadline_seconds=0.2
    )
    with pytest.raises(ProviderError, match="took too long") as caught:
        await hanging.prepare(VOCABULARY)
    assert caught.value.retryable
    assert hanging.pid is None
    hanging.close()


async def test_a_process_that_cannot_live_is_an_error() -> None:
    dying = RecognizerProcess((sys.executable, "-c", ""), deadline_seconds=60)
    with pytest.raises(ProviderError, match="ended unexpectedly") as caught:
        await dying.prepare(VOCABULARY)
    assert caught.value.retryable
    dying.close()


async def test_a_process_that_cannot_be_started_leaves_no_socket_behind() -> None:
    missing = RecognizerProcess(("/no/such/program",))
    with pytest.raises(ProviderError, match="ended unexpectedly"):
        await missing.prepare(VOCABULARY)
    assert missing.pid is None
    # A socket that was never closed warns as it is collected, which fails the test.
    gc.collect()
    missing.close()


async def test_a_crowd_is_turned_away(
    process: RecognizerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "MAX_WAITING", 1)
    first = asyncio.create_task(process.prepare(VOCABULARY))
    await asyncio.sleep(0)
    with pytest.raises(ProviderError, match="too many") as caught:
        await process.prepare(VOCABULARY)
    assert caught.value.code == "busy"
    await first


async def test_closing_ends_the_child(process: RecognizerProcess) -> None:
    await process.prepare(VOCABULARY)
    child = process.pid
    assert child is not None
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
