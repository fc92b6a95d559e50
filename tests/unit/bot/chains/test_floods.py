"""A vendor that gives without end is cut off, and the call goes on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    LLMThoughtTextFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.text.base_text_aggregator import TextType

from bot.chains.backlog import MAX_AHEAD_MS
from bot.chains.chain import Vendors
from bot.chains.floods import (
    MAX_ANSWER_LETTERS,
    MAX_THOUGHT_LETTERS,
    MAX_TOOL_ROUNDS,
    RESULTS_AT_ONCE,
    TEXT_AT_ONCE,
)
from bot.chains.lineup import MAX_FLOODS
from bot.chains.llm import LlmChain
from bot.chains.member import MAX_UNTAKEN_SECONDS
from bot.chains.pieces import Piece
from bot.chains.speech_ledger import MAX_SAID_LETTERS, MAX_STRETCHES, SpeechLedger
from bot.chains.speech_queue import MAX_WAITING_LETTERS, MAX_WAITING_SENTENCES
from bot.chains.tts import TtsChain
from bot.events import Degraded
from bot.reporter import CallReporter
from config.agent_stages import LlmDeadlines, TtsDeadlines
from tests.unit.bot.chains.ears import PIECE_SECONDS, RATE_HZ, Ear, scene
from tests.unit.bot.chains.rig import Do, Rig, Vendor, rig
from tests.virtual_time import virtual_time

SENTENCE = "One two three four five six."


# -- voices ---------------------------------------------------------------------------------------


@asynccontextmanager
async def speaking(
    *vendors: Vendor, ahead_ms: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[Rig]:
    def make(parts: Vendors, reporter: CallReporter, give_up: Callable[..., Any]) -> TtsChain:
        return TtsChain(
            parts,
            language="hi",
            reporter=reporter,
            on_exhausted=give_up,
            deadlines=TtsDeadlines(),
            ahead_ms=ahead_ms,
        )

    async with rig("tts", vendors, make) as running:
        await asyncio.sleep(0.01)
        yield running


async def answer(running: Rig, *texts: str) -> None:
    await running.send(LLMFullResponseStartFrame())
    await running.send(
        *(AggregatedTextFrame(text, TextType.SENTENCE, raw_text=text) for text in texts)
    )
    await running.send(LLMFullResponseEndFrame())


def seconds_of(running: Rig, voice: str) -> float:
    frames = [f for f in running.of(TTSAudioRawFrame) if chr(f.audio[0]) == voice]
    return sum(len(f.audio) for f in frames) / 2 / RATE_HZ


def words(running: Rig) -> str:
    return " ".join(frame.text for frame in running.of(TTSTextFrame))


@virtual_time
async def test_a_voice_that_babbles_is_left_and_the_next_says_the_rest() -> None:
    async with speaking(asha := Vendor("asha", [Do(babble=600)]), Vendor("bela")) as running:
        await answer(running, SENTENCE, "Seven eight.", "Nine ten.")
        await asyncio.sleep(5)
        assert running.degraded == [("asha", "flood")]
        assert seconds_of(running, "a") <= Piece(SENTENCE, "").longest_ms / 1000 + 0.1
        assert seconds_of(running, "b") > 0.5, "what was not spoken yet is the next voice's"
        assert words(running) == f"{SENTENCE} Seven eight. Nine ten."
        assert asha.gave < 1000, "nobody goes on taking what is thrown away"


@virtual_time
async def test_a_voice_without_another_behind_it_is_tried_again_after_one_babbling() -> None:
    vendor = Vendor("asha", [Do(babble=600), Do()])
    async with speaking(vendor) as running:
        await answer(running, SENTENCE, "Seven eight.")
        await asyncio.sleep(5)
        assert running.degraded == [("asha", "flood")]
        assert words(running) == f"{SENTENCE} Seven eight."
        assert running.given_up == []


@virtual_time
async def test_a_voice_that_always_babbles_is_given_up_for_the_call() -> None:
    vendor = Vendor("asha", [Do(babble=600)])
    async with speaking(vendor) as running:
        for _ in range(MAX_FLOODS + 3):
            await answer(running, SENTENCE)
            await asyncio.sleep(20)
        floods = [kind for _, kind in running.degraded if kind == "flood"]
        assert len(floods) == MAX_FLOODS
        assert running.chain.lineup.hopeless
        assert running.given_up


@virtual_time
async def test_words_without_end_are_a_flood_too() -> None:
    async with speaking(Vendor("asha", [Do(stall=True)]), Vendor("bela")) as running:
        await answer(running, SENTENCE)
        await asyncio.sleep(0)
        voice = running.chain.in_use
        assert voice is not None
        most = Piece(SENTENCE, "").most_words
        for number in range(10_000):
            assert (voice.candidate.provider, "flood") not in running.degraded or number > most
            frame = TTSTextFrame("so", TextType.WORD)
            frame.pts = number + 1
            await voice.service.push_frame(frame)
        await asyncio.sleep(3)
        assert running.degraded == [("asha", "flood")]
        assert words(running).count("so") <= most


@pytest.mark.parametrize(
    ("text", "spoken_seconds"),
    [("Yes.", 2.0), ("9876543210", 9.0), ("आपका बकाया 1,23,456 रुपये है।", 9.0), ("a" * 300, 60.0)],
)
def test_no_sentence_that_is_really_spoken_is_a_flood(text: str, spoken_seconds: float) -> None:
    assert Piece(text, "").longest_ms > spoken_seconds * 1000


@virtual_time
async def test_with_much_to_be_heard_no_more_sentences_are_asked_for() -> None:
    ahead = [MAX_AHEAD_MS + 5000]
    vendor = Vendor("asha")
    async with speaking(vendor, ahead_ms=lambda: ahead[0]) as running:
        ahead[0] = 0.0
        await answer(running, *(f"Sentence number {n}." for n in range(3)))
        await asyncio.sleep(1)
        assert len(vendor.asked) == 3
        ahead[0] = MAX_AHEAD_MS + 5000
        await answer(running, *(f"Another, {n}." for n in range(50)))
        await asyncio.sleep(60)
        assert len(vendor.asked) == 3, "twenty seconds wait to be heard"
        assert running.degraded == [], "to wait is no failure"
        ahead[0] = MAX_AHEAD_MS
        await asyncio.sleep(5)
        assert len(vendor.asked) == 53
        assert words(running).endswith("Another, 49.")


@virtual_time
async def test_an_interruption_ends_that_wait() -> None:
    ahead = [MAX_AHEAD_MS + 1]
    vendor = Vendor("asha")
    async with speaking(vendor, ahead_ms=lambda: ahead[0]) as running:
        await answer(running, SENTENCE)
        await asyncio.sleep(3.05)
        assert vendor.asked == []
        ahead[0] = 0.0
        await running.send(InterruptionFrame())
        await answer(running, "Something else.")
        await asyncio.sleep(0.5)
        assert vendor.asked == ["Something else."]


@virtual_time
async def test_sentences_beyond_what_may_wait_are_dropped_counted_and_told_once() -> None:
    vendor = Vendor("asha", [Do(stall=True)])
    async with speaking(vendor, ahead_ms=lambda: MAX_AHEAD_MS + 1) as running:
        await answer(running, *("Short." for _ in range(MAX_WAITING_SENTENCES + 30)))
        await asyncio.sleep(1)
        assert running.dropped == ["sentences"] * 30
        assert running.degraded == [(None, "sentences_full")]
        await running.send(InterruptionFrame())
        await answer(running, *("x" * 1000 for _ in range(MAX_WAITING_LETTERS // 1000 + 2)))
        await asyncio.sleep(1)
        assert running.dropped == ["sentences"] * 32, "an interruption makes room"


@virtual_time
async def test_what_was_spoken_makes_room() -> None:
    async with speaking(vendor := Vendor("asha")) as running:
        for _ in range(60):
            await answer(running, *(f"{'x' * 900} {n}." for n in range(10)))
            await asyncio.sleep(20)
        assert running.dropped == []
        assert len(vendor.asked) == 600


# -- models ---------------------------------------------------------------------------------------


@asynccontextmanager
async def thinking(*vendors: Vendor) -> AsyncIterator[Rig]:
    def make(parts: Vendors, reporter: CallReporter, give_up: Callable[..., Any]) -> LlmChain:
        return LlmChain(
            parts,
            language="hi",
            reporter=reporter,
            on_exhausted=give_up,
            deadlines=LlmDeadlines(),
        )

    async with rig("llm", vendors, make) as running:
        await asyncio.sleep(0.01)
        yield running


async def ask(running: Rig, *messages: dict[str, Any]) -> None:
    asked: Any = list(messages) or [{"role": "user", "content": "Tell me."}]
    await running.send(LLMContextFrame(LLMContext(messages=asked)))


def said(running: Rig) -> str:
    return "".join(frame.text for frame in running.of(LLMTextFrame))


@virtual_time
async def test_an_answer_without_end_is_cut_at_a_word_and_the_next_is_whole() -> None:
    vendor = Vendor("asha", [Do(rambles=100_000), Do(text="Here I am.")])
    async with thinking(vendor) as running:
        await ask(running)
        await asyncio.sleep(5)
        assert MAX_ANSWER_LETTERS - 5 <= len(said(running)) <= MAX_ANSWER_LETTERS
        assert said(running).endswith("more ")
        assert len(running.of(LLMFullResponseEndFrame)) == 1, "what came is an answer with an end"
        assert [e.kind for e in running.events if isinstance(e, Degraded)] == ["too_long"]
        assert vendor.gave < MAX_ANSWER_LETTERS, "the model is not read any further"
        before = len(said(running))
        await ask(running)
        await asyncio.sleep(1)
        assert said(running)[before:].strip() == "Here I am."
        assert len(vendor.built) == 1, "the vendor has done nothing that it must go for"


@virtual_time
async def test_an_answer_of_nothing_has_an_end_too() -> None:
    async with thinking(vendor := Vendor("asha", [Do(rambles=100_000, ramble="")])) as running:
        await ask(running)
        await asyncio.sleep(5)
        assert vendor.gave <= MAX_ANSWER_LETTERS + 10
        assert [e.kind for e in running.events if isinstance(e, Degraded)] == ["too_long"]


@virtual_time
async def test_one_endless_word_that_goes_on_after_a_failure_is_not_kept() -> None:
    broke_off = Do(after=1, fail=ErrorCategory.SERVER)
    endless = Do(text="", rambles=100_000, ramble="x")
    async with thinking(vendor := Vendor("asha", [broke_off, endless])) as running:
        await ask(running)
        await asyncio.sleep(10)
        assert vendor.gave <= MAX_ANSWER_LETTERS + 10
        assert "too_long" in [e.kind for e in running.events if isinstance(e, Degraded)]


@virtual_time
async def test_thoughts_without_end_are_a_failure() -> None:
    endless = Do(text="", rambles=2000, ramble="hm " * 100, thinks=True)
    async with thinking(Vendor("asha", [endless]), Vendor("bela", [Do(text="Yes.")])) as running:
        await ask(running)
        await asyncio.sleep(10)
        assert running.degraded == [("asha", "flood")]
        thought = sum(len(frame.text) for frame in running.of(LLMThoughtTextFrame))
        assert thought <= MAX_THOUGHT_LETTERS
        assert said(running).strip() == "Yes."


@virtual_time
async def test_tools_called_for_ever_end_in_the_apology() -> None:
    question = {"role": "user", "content": "Tell me."}
    result = {"role": "tool", "content": "done", "tool_call_id": "1"}
    note = {"role": "developer", "content": "Answer in Hindi."}
    async with thinking(vendor := Vendor("asha")) as running:
        await ask(running, question)
        await asyncio.sleep(0.5)
        for number in range(MAX_TOOL_ROUNDS + 1):
            assert len(vendor.asked) == number + 1
            assert running.given_up == []
            await ask(running, question, result, note)
            await asyncio.sleep(0.5)
        assert len(vendor.asked) == MAX_TOOL_ROUNDS + 1
        assert len(running.given_up) == 1
        assert [kind for _, kind in running.degraded] == ["flood", "exhausted"]
        await ask(running, question, result, question)
        await asyncio.sleep(0.5)
        assert len(vendor.asked) == MAX_TOOL_ROUNDS + 2, "the caller is answered again"


# -- recognisers ----------------------------------------------------------------------------------


@virtual_time
async def test_a_recogniser_that_floods_is_left_for_the_next() -> None:
    async with scene("one", "two") as call:
        await call.speaks(1.0)
        first = call.ear
        for number in range(10_000):
            await first.guesses(f"guess {number}")
        await asyncio.sleep(0.5)
        passed = [f for f in call.behind.frames if isinstance(f, InterimTranscriptionFrame)]
        assert len(passed) == RESULTS_AT_ONCE
        assert call.degraded == [("flood", "one")]
        assert call.providers == ["one", "two"]
        await call.ear.says("what was said")
        await asyncio.sleep(0.1)
        assert call.texts == ["what was said"]


@virtual_time
async def test_a_recogniser_may_tell_a_lot_as_long_as_somebody_could_say_it() -> None:
    async with scene("one", "two") as call:
        await call.starts()
        for number in range(600):
            await call.hears(0.04)
            await call.ear.guesses("word " * (number % 100))
        await call.stops()
        await call.ear.says("word " * 600)
        await asyncio.sleep(0.1)
        assert call.degraded == []


@virtual_time
async def test_a_text_that_nobody_could_have_said_is_a_flood() -> None:
    async with scene("one", "two") as call:
        await call.speaks(1.0)
        await call.ear.says("x" * 10_000_000)
        await asyncio.sleep(0.5)
        assert call.texts == []
        assert call.degraded == [("flood", "one")]
        assert call.providers[-1] == "two"


@virtual_time
async def test_final_texts_without_end_are_a_flood() -> None:
    async with scene("one", "two") as call:
        await call.speaks(1.0)
        first = call.ear
        for _ in range(100):
            await first.says("a " * 200)
        await asyncio.sleep(0.5)
        assert sum(map(len, call.texts)) <= TEXT_AT_ONCE
        assert call.degraded[0] == ("flood", "one")


@virtual_time
async def test_a_recogniser_that_takes_no_audio_is_left_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def takes_nothing(self: Ear, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        if self.provider == "one":
            await asyncio.sleep(1e6)
        yield None

    monkeypatch.setattr(Ear, "run_stt", takes_nothing)
    async with scene("one", "two") as call:
        await call.hears(MAX_UNTAKEN_SECONDS - 0.2)
        assert call.degraded == []
        await call.hears(0.4)
        assert call.degraded == [("stalled", "one")]
        await asyncio.sleep(3)
        assert call.providers == ["one", "two"]
        await call.hears(60)
        assert call.degraded == [("stalled", "one")], "who takes audio may go on"


@virtual_time
async def test_audio_that_cannot_be_heard_again_is_told() -> None:
    async with scene("one") as call:
        await call.starts()
        await call.hears(14)
        await call.ear.fails()
        await asyncio.sleep(0.5)
        lost = [e for e in call.events if isinstance(e, Degraded) and e.kind == "audio_lost"]
        assert len(lost) == 1
        assert "4." in lost[0].detail
        assert len(call.ear.numbers) == pytest.approx(10 / PIECE_SECONDS, abs=2)


def test_a_noise_that_is_never_read_is_not_followed_for_ever() -> None:
    ledger = SpeechLedger(RATE_HZ)
    had_room = []
    for second in range(10_000):
        had_room.append(ledger.started(second * RATE_HZ, 0.1))
        ledger.stopped(second * RATE_HZ + RATE_HZ // 2, 0.1)
    assert had_room == [number < MAX_STRETCHES for number in range(10_000)]
    assert len(ledger._stretches) == MAX_STRETCHES
    assert ledger.replay_from is not None
    assert ledger.replay_from > (10_000 - MAX_STRETCHES - 1) * RATE_HZ


@virtual_time
async def test_speech_that_is_given_up_is_told_once() -> None:
    async with scene("one") as call:
        for _ in range(MAX_STRETCHES + 3):
            await call.starts()
            await call.hears(0.2)
            await call.stops()
        full = [e for e in call.events if isinstance(e, Degraded) and e.kind == "speech_full"]
        assert len(full) == 1


def test_what_was_said_before_a_replay_is_kept_as_far_as_it_can_be_heard_again() -> None:
    ledger = SpeechLedger(RATE_HZ)
    ledger.started(0, 0.0)
    for _ in range(10_000):
        ledger.final("one two three", None, finalized=False)
    assert len(ledger.said) <= MAX_SAID_LETTERS
    assert ledger.said.endswith("one two three")
