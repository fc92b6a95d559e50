"""Text-to-speech goes on when a vendor fails, and nothing is spoken twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ControlFrame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.text.base_text_aggregator import TextType

from bot.chains.chain import Vendors
from bot.chains.frames import PieceCutFrame
from bot.chains.tts import TtsChain
from bot.reporter import CallReporter
from config.agent_stages import TtsDeadlines
from tests.unit.bot.chains.rig import RATE_HZ, Do, Rig, Vendor, Voice, rig
from tests.virtual_time import virtual_time

FIRST = "One two three four five six."
SECOND = "Seven eight nine ten eleven twelve."
DEAD = Do(fail=ErrorCategory.SERVER, after=0)


def make(vendors: Vendors, reporter: CallReporter, give_up: Callable[..., Any]) -> TtsChain:
    return TtsChain(
        vendors, language="hi", reporter=reporter, on_exhausted=give_up, deadlines=TtsDeadlines()
    )


@asynccontextmanager
async def speaking(*vendors: Vendor) -> AsyncIterator[Rig]:
    async with rig("tts", vendors, make) as running:
        await asyncio.sleep(0.01)
        yield running


def sentence(text: str) -> AggregatedTextFrame:
    return AggregatedTextFrame(text, TextType.SENTENCE, raw_text=text)


async def answer(running: Rig, *texts: str) -> None:
    await running.send(LLMFullResponseStartFrame())
    await running.send(*(sentence(text) for text in texts))
    await running.send(LLMFullResponseEndFrame())


def words(running: Rig) -> str:
    return " ".join(frame.text for frame in running.of(TTSTextFrame))


def voices(running: Rig) -> str:
    """Whose audio came, in order: the first letters of their names."""
    return "".join(
        letter for letter, _ in groupby(chr(f.audio[0]) for f in running.of(TTSAudioRawFrame))
    )


def seconds(running: Rig) -> float:
    return sum(len(f.audio) for f in running.of(TTSAudioRawFrame)) / 2 / RATE_HZ


@virtual_time
async def test_an_answer_is_one_utterance() -> None:
    async with speaking(Vendor("asha")) as running:
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(1)
        assert words(running) == f"{FIRST} {SECOND}"
        (started,), (stopped,) = running.of(TTSStartedFrame), running.of(TTSStoppedFrame)
        assert started.context_id == stopped.context_id
        assert {f.context_id for f in running.of(TTSAudioRawFrame)} == {started.context_id}
        announced = [f for f in running.of(AggregatedTextFrame) if type(f) is AggregatedTextFrame]
        assert [f.text for f in announced] == [FIRST, SECOND]
        assert [f.segment_id for f in running.of(TTSTextFrame)] == [f.id for f in announced]
        assert running.degraded == []


@virtual_time
async def test_a_phrase_of_its_own_is_taken_over_by_the_conversation() -> None:
    async with speaking(Vendor("asha")) as running:
        await running.send(TTSSpeakFrame(FIRST, append_to_context=True))
        await asyncio.sleep(1)
        kinds = [type(frame) for _, frame, _ in running.after.frames]
        assert kinds.index(TTSStoppedFrame) < kinds.index(LLMAssistantPushAggregationFrame)
        assert running.of(TTSStartedFrame)[0].append_to_context


@virtual_time
@pytest.mark.parametrize(
    ("category", "kind"),
    [
        (ErrorCategory.SERVER, "server"),
        (ErrorCategory.AUTHENTICATION, "auth"),
        (ErrorCategory.RATE_LIMIT, "rate_limit"),
        (ErrorCategory.INVALID_REQUEST, "rejected"),
    ],
)
async def test_the_next_vendor_speaks_what_one_refuses(category: ErrorCategory, kind: str) -> None:
    asha, bela = Vendor("asha", [Do(fail=category, after=0)]), Vendor("bela")
    async with speaking(asha, bela) as running:
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(1)
        assert (voices(running), words(running)) == ("b", f"{FIRST} {SECOND}")
        assert len(asha.asked) == 1 and running.degraded == [("asha", kind)]
        assert running.chain.provider == "bela" and running.given_up == []


@virtual_time
async def test_a_sentence_is_finished_by_the_next_from_the_word_that_was_reached() -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.SERVER, after=3)])
    bela = Vendor("bela")
    async with speaking(asha, bela) as running:
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(1)
        assert bela.asked == ["four five six.", SECOND]
        assert (voices(running), words(running)) == ("ab", f"{FIRST} {SECOND}")
        assert [f.text for f in running.of(PieceCutFrame)] == ["One two three"]
        assert len(running.of(TTSStartedFrame)) == len(running.of(TTSStoppedFrame)) == 1


@virtual_time
async def test_words_have_their_place_in_the_utterance() -> None:
    async with speaking(Vendor("asha", word_times=True)) as running:
        await answer(running, "One two.", "Six seven.")
        await asyncio.sleep(1)
        texts = running.of(TTSTextFrame)
        assert [f.text for f in texts] == ["One", "two.", "Six", "seven."]
        letters = [0, 3, 7, 10]
        places = [round((f.pts or 0) / 1e6) for f in texts]
        assert places == pytest.approx([n * 1000 / 13 for n in letters], abs=1)


@virtual_time
async def test_what_holds_the_loop_up_moves_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    began = Voice.start_word_timestamps

    async def held_up(self: Voice) -> None:
        await began(self)  # type: ignore[no-untyped-call]
        time.sleep(0.1)  # noqa: ASYNC251 - as a full collection of garbage does

    monkeypatch.setattr(Voice, "start_word_timestamps", held_up)
    async with speaking(Vendor("asha", word_times=True)) as running:
        await answer(running, "One two.")
        await asyncio.sleep(1)
        places = [round((f.pts or 0) / 1e6) for f in running.of(TTSTextFrame)]
        assert places == pytest.approx([0, 3 * 1000 / 13], abs=1)


@virtual_time
async def test_word_times_tell_exactly_where_the_next_vendor_goes_on() -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.SERVER, after=3)], word_times=True)
    bela = Vendor("bela", word_times=True)
    async with speaking(asha, bela) as running:
        await answer(running, FIRST)
        await asyncio.sleep(1)
        assert bela.asked == ["four five six."] and words(running) == FIRST


@virtual_time
async def test_a_vendor_that_hung_up_is_called_again_before_the_voice_changes() -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.CONNECTIVITY, after=2), Do()])
    async with speaking(asha, Vendor("bela")) as running:
        await answer(running, FIRST)
        await asyncio.sleep(1)
        assert asha.asked == [FIRST, "three four five six."]
        assert (voices(running), words(running)) == ("a", FIRST)


@virtual_time
@pytest.mark.parametrize(("after", "kind"), [(0, "no_result"), (2, "stalled")])
async def test_two_seconds_without_audio_are_a_failure(after: int, kind: str) -> None:
    asha = Vendor("asha", [Do(after=after, stall=True)])
    async with speaking(asha, Vendor("bela")) as running:
        began = asyncio.get_running_loop().time()
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(5)
        assert words(running) == f"{FIRST} {SECOND}"
        assert running.degraded == [("asha", kind)]
        times = running.times(TTSAudioRawFrame)
        assert max(b - a for a, b in zip([began, *times], times, strict=False)) < 2.1


@virtual_time
async def test_a_connection_that_hangs_is_left_after_its_deadline() -> None:
    asha, bela = Vendor("asha", opens=1e6), Vendor("bela")
    async with rig("tts", [asha, bela], make) as running:
        began = asyncio.get_running_loop().time()
        await answer(running, FIRST)
        await asyncio.sleep(3)
        assert running.times(TTSAudioRawFrame)[0] - began < 2.1
        assert running.degraded == [("asha", "connect_timeout")] and words(running) == FIRST


@virtual_time
async def test_standby_vendors_are_not_connected_before_there_is_trouble() -> None:
    bela = Vendor("bela")
    async with speaking(Vendor("asha"), bela) as running:
        await answer(running, FIRST)
        await asyncio.sleep(1)
        assert bela.built == []


@virtual_time
async def test_with_nobody_left_the_answer_is_given_up_and_the_next_is_tried() -> None:
    asha = Vendor("asha", [DEAD, DEAD, DEAD, Do()])
    bela = Vendor("bela", [DEAD])
    async with speaking(asha, bela) as running:
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(8)
        assert words(running) == "" and len(running.given_up) == 1
        assert len(running.of(LLMFullResponseEndFrame)) == 1
        asha.does = [Do()]
        await answer(running, SECOND)
        await asyncio.sleep(1)
        assert words(running) == SECOND


@virtual_time
async def test_a_late_sentence_of_an_answer_given_up_is_not_spoken() -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.AUTHENTICATION, after=0)])
    async with speaking(asha) as running:
        await running.send(LLMFullResponseStartFrame(), sentence(FIRST))
        await asyncio.sleep(1)
        await running.send(sentence(SECOND), LLMFullResponseEndFrame())
        await asyncio.sleep(5)
        assert asha.asked == [FIRST] and len(running.given_up) == 1


@virtual_time
async def test_an_interruption_drops_what_was_to_be_spoken() -> None:
    asha = Vendor("asha", [Do(pace=0.5), Do()])
    async with speaking(asha) as running:
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(0.5)
        await running.send(InterruptionFrame())
        heard = seconds(running)
        await asyncio.sleep(3)
        assert seconds(running) == heard < 1.5 and words(running) == ""
        await answer(running, SECOND)
        await asyncio.sleep(1)
        assert words(running) == SECOND and running.degraded == []


@virtual_time
async def test_what_follows_words_stays_behind_their_audio() -> None:
    async with speaking(Vendor("asha", [Do(pace=1.0)])) as running:
        frame = ControlFrame()
        await running.send(LLMFullResponseStartFrame(), sentence(FIRST), frame)
        await running.send(sentence(SECOND), LLMFullResponseEndFrame())
        await asyncio.sleep(10)
        kinds = [f for _, f, _ in running.after.frames]
        first, second = running.of(TTSTextFrame)
        assert kinds.index(first) < kinds.index(frame) < kinds.index(second)


@virtual_time
async def test_a_voice_slower_than_it_is_heard_is_left_for_another() -> None:
    asha = Vendor("asha", [Do(pace=2.0)])
    async with speaking(asha, Vendor("bela")) as running:
        await answer(running, f"{FIRST[:-1]} {SECOND}")
        await asyncio.sleep(10)
        assert voices(running) == "ab" and running.degraded == [
            ("asha", "underrun"),
            ("asha", "slow"),
        ]
        assert words(running).split() == f"{FIRST[:-1]} {SECOND}".split()


@virtual_time
async def test_a_slow_voice_alone_goes_on() -> None:
    async with speaking(Vendor("asha", [Do(pace=1.5)])) as running:
        await answer(running, FIRST)
        await asyncio.sleep(10)
        assert words(running) == FIRST and running.degraded == [("asha", "underrun")]


@virtual_time
async def test_the_preferred_voice_comes_back_with_a_later_answer() -> None:
    asha = Vendor("asha", [Do(fail=ErrorCategory.SERVER, after=0), Do()])
    async with speaking(asha, Vendor("bela")) as running:
        await answer(running, FIRST)
        await asyncio.sleep(12)
        await running.send(LLMFullResponseStartFrame())
        await asyncio.sleep(0.3)
        await running.send(sentence(SECOND), LLMFullResponseEndFrame())
        await asyncio.sleep(1)
        assert voices(running) == "ba" and words(running) == f"{FIRST} {SECOND}"


@virtual_time
async def test_a_connection_lost_between_answers_is_renewed_without_another_voice() -> None:
    asha = Vendor("asha")
    async with speaking(asha, Vendor("bela")) as running:
        await answer(running, FIRST)
        await asyncio.sleep(5)
        await asha.built[0].push_error("gone", category=ErrorCategory.CONNECTIVITY)
        await asyncio.sleep(0.5)
        await answer(running, SECOND)
        await asyncio.sleep(1)
        assert voices(running) == "a" and words(running) == f"{FIRST} {SECOND}"
        assert len(asha.built) == 2


@virtual_time
async def test_a_breaker_spares_the_next_call_the_deadline() -> None:
    asha = Vendor("asha", [Do(after=0, stall=True)])
    async with speaking(asha, Vendor("bela")) as running:
        for _ in range(3):
            await answer(running, FIRST)
            await asyncio.sleep(13)
        assert running.breakers.of("tts", "asha", "a").state != "closed"
        assert next(running.breakers.troubled())[:2] == ("tts", "asha")


@virtual_time
async def test_a_sentence_that_ends_without_a_sound_is_the_next_ones() -> None:
    asha = Vendor("asha", [Do(after=0, ends=True)])
    async with speaking(asha, Vendor("bela")) as running:
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(1)
        assert voices(running) == "b" and words(running) == f"{FIRST} {SECOND}"
        assert running.degraded[0] == ("asha", "no_result")


@virtual_time
@pytest.mark.parametrize(
    ("category", "kind"),
    [(ErrorCategory.SERVER, "server"), (ErrorCategory.RATE_LIMIT, "rate_limit")],
)
async def test_alone_a_voice_that_says_it_failed_is_asked_once_more(
    category: ErrorCategory, kind: str
) -> None:
    asha = Vendor("asha", [Do(fail=category, after=2), Do()])
    async with speaking(asha) as running:
        await answer(running, FIRST)
        await asyncio.sleep(2)
        assert words(running) == FIRST and running.given_up == []
        assert running.degraded == [("asha", kind)]


@virtual_time
async def test_words_that_come_late_are_no_fault_of_the_voice() -> None:
    async with speaking(Vendor("asha")) as running:
        await running.send(LLMFullResponseStartFrame(), sentence(FIRST))
        await asyncio.sleep(5)
        await running.send(sentence(SECOND), LLMFullResponseEndFrame())
        await asyncio.sleep(1)
        assert words(running) == f"{FIRST} {SECOND}" and running.degraded == []


@virtual_time
async def test_words_told_ahead_of_their_audio_were_not_spoken_when_it_does_not_come() -> None:
    """Some vendors send the times of a whole sentence first."""
    asha = Vendor("asha", [Do(fail=ErrorCategory.SERVER, after=2)], word_times=True, ahead=True)
    bela = Vendor("bela", word_times=True)
    async with speaking(asha, bela) as running:
        await answer(running, FIRST)
        await asyncio.sleep(1)
        assert bela.asked == ["three four five six."] and words(running) == FIRST


@virtual_time
async def test_a_better_voice_that_is_not_needed_after_all_is_let_go() -> None:
    """It was opened beside an answer, and who gave that had to be connected anew meanwhile."""
    asha = Vendor("asha", [Do(fail=ErrorCategory.SERVER, after=0), Do()])
    bela = Vendor("bela", [Do(), Do(after=3, fail=ErrorCategory.CONNECTIVITY), Do()])
    async with speaking(asha, bela) as running:
        await answer(running, FIRST)
        await asyncio.sleep(12)
        asha.opens, bela.opens = 0.3, 0.5
        await answer(running, FIRST, SECOND)
        await asyncio.sleep(20)
        assert len(running.chain._members) == 1


@virtual_time
async def test_who_is_being_opened_when_the_call_ends_goes_no_further() -> None:
    asha = Vendor("asha", opens=5.0)
    async with rig("tts", [asha], make) as running:
        await asyncio.sleep(0.5)
        # As for another language, asked for by somebody whose work does not end with the call.
        opening = asyncio.create_task(running.chain.make_ready("hi", 20.0))
        await asyncio.sleep(0.5)
        await running.run.stop()
        assert not await opening
        await asyncio.sleep(10)
        assert [service._audio_context_task for service in asha.built] == [None, None]
        assert running.breakers.of("tts", "asha", "a").last_failure is None
