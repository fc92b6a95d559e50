"""Utterances, one after the other, and what was heard of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.events import AgentSpeech, Degraded, Interrupted
from bot.speaker import STALL_SECONDS
from bot.speech import Utterance
from tests.unit.bot.fakes import Mouth, audio, make_mouth
from tests.virtual_time import virtual_time


@asynccontextmanager
async def speaking_mouth(*, acks: bool = False) -> AsyncIterator[Mouth]:
    """A mouth whose playout runs."""
    mouth = make_mouth(acks=acks)
    task = asyncio.create_task(mouth.playout.run())
    try:
        yield mouth
    finally:
        await mouth.speaker.hang_up()
        task.cancel()
        await asyncio.wait([task])


def spoken(mouth: Mouth) -> list[tuple[str, str, bool]]:
    """Text, heard text and whether it was cut, of each utterance."""
    events = [event for event in mouth.events if isinstance(event, AgentSpeech)]
    return [(event.text, event.heard_text, event.interrupted) for event in events]


@virtual_time
async def test_two_phrases_in_a_row() -> None:
    remembered: list[str] = []
    async with speaking_mouth() as mouth:
        changes: list[bool] = []

        async def changed(speaking: bool) -> None:
            changes.append(speaking)

        mouth.speaker.on_speaking = changed
        mouth.speaker.say("one two", audio(400), "p", remember=remembered.append)
        mouth.speaker.say("three", audio(200), "p", remember=remembered.append)
        await asyncio.sleep(0.45)
        assert spoken(mouth) == [("one two", "one two", False)]
        await asyncio.sleep(1)
        assert spoken(mouth)[1] == ("three", "three", False)
        assert remembered == ["one two", "three"]
        assert changes == [True, False]
        assert len(mouth.line.checkpoints) == 2


@virtual_time
async def test_a_cut_tells_of_each_utterance_what_was_heard() -> None:
    remembered: list[str] = []
    async with speaking_mouth() as mouth:
        mouth.speaker.say("one two three four", audio(800), "p", remember=remembered.append)
        mouth.speaker.say("never heard", audio(800), "p", remember=remembered.append)
        await asyncio.sleep(0.45)
        cut = await mouth.speaker.interrupt()
        assert cut.was_speaking and cut.unremembered == ""
        assert spoken(mouth) == [("one two three four", "one two", True)]
        assert remembered == ["one two"]
        again = await mouth.speaker.interrupt()
        assert not again.was_speaking
        assert len(mouth.of(Interrupted)) == 1


@virtual_time
async def test_it_has_not_begun_until_its_first_packet_was_sent() -> None:
    async with speaking_mouth(acks=True) as mouth:
        mouth.speaker.say("one", audio(400), "p")
        await asyncio.sleep(0.1)
        await mouth.speaker.interrupt()
        mouth.speaker.say("two", audio(400), "p")
        await asyncio.sleep(0.5)
        assert not mouth.speaker.speaking
        mouth.playout.cleared()
        await asyncio.sleep(0.1)
        assert mouth.speaker.speaking


@virtual_time
async def test_a_phrase_without_audio_is_nothing() -> None:
    async with speaking_mouth() as mouth:
        mouth.speaker.say("nothing", b"", "p")
        mouth.speaker.say("one", audio(200), "p")
        await asyncio.sleep(1)
        assert spoken(mouth) == [("one", "one", False)]


@virtual_time
async def test_an_utterance_left_open_is_ended_after_it_was_heard() -> None:
    async with speaking_mouth() as mouth:
        mouth.speaker.begin("p", context_id="a")
        mouth.speaker.announce("one two", context_id="a")
        mouth.speaker.audio(audio(3000))
        await asyncio.sleep(3 + STALL_SECONDS - 0.5)
        assert mouth.speaker.open
        await asyncio.sleep(STALL_SECONDS + 1)
        assert not mouth.speaker.open and not mouth.speaker.speaking
        assert spoken(mouth) == [("one two", "one two", False)]
        assert len(mouth.of(Degraded)) == 1


@virtual_time
async def test_another_context_ends_the_open_utterance() -> None:
    async with speaking_mouth() as mouth:
        for name in ("a", "b"):
            mouth.speaker.announce(f"text {name}", context_id=name)
            mouth.speaker.begin("p", context_id=name)
            mouth.speaker.audio(audio(200))
        mouth.speaker.end()
        await asyncio.sleep(1)
        assert [text for text, _, _ in spoken(mouth)] == ["text a", "text b"]


def test_sentences_announced_together_share_their_audio() -> None:
    utterance = Utterance("p")
    utterance.begin_piece("one two", 0, "s1")
    utterance.begin_piece("three four", 0, "s2")
    utterance.extend(1000)
    utterance.begin_piece("five", 1000, "s3")
    assert utterance.text == "one two three four five"
    assert utterance.heard_until(500) == "one two"
    assert utterance.heard_until(750) == "one two three"
    assert utterance.heard_until(5000) == "one two three four"
    utterance.passed_on("s1")
    assert utterance.unremembered_until(750) == "three"


@pytest.mark.parametrize("timed", ["first", "second"])
@virtual_time
async def test_voices_that_take_over_may_differ_in_telling_word_times(timed: str) -> None:
    async def nothing() -> None: ...

    async with speaking_mouth() as mouth:
        mouth.speaker.begin("p", context_id="a")
        for at_ms, name, text in ((0, "first", "one two"), (400, "second", "three four")):
            mouth.speaker.announce(text, context_id="a", segment_id=name)
            mouth.speaker.audio(audio(400))
            if name == timed:
                for offset_ms, word in zip((0, 280), text.split(), strict=True):
                    mouth.speaker.word(word, at_ms + offset_ms, nothing, segment_id=name)
        await asyncio.sleep(0.65)
        cut = await mouth.speaker.interrupt()
        assert spoken(mouth) == [("one two three four", "one two three", True)]
        # Words with times are remembered one by one.
        assert cut.unremembered == ("three" if timed == "first" else "one two")


@pytest.mark.parametrize("position_ms", range(0, 2100, 50))
def test_heard_is_the_beginning_of_the_text(position_ms: int) -> None:
    utterance = Utterance("p")
    utterance.begin_piece("one two three", 0)
    utterance.extend(1000)
    utterance.begin_piece("four five", 1000)
    utterance.extend(2000)
    heard = utterance.heard_until(position_ms)
    assert utterance.text.startswith(heard)
    assert heard == utterance.text or position_ms < 2000


@virtual_time
async def test_words_announced_for_a_context_that_never_spoke_are_forgotten() -> None:
    async with speaking_mouth() as mouth:
        mouth.speaker.announce("lost", context_id="a")
        mouth.speaker.announce("found", context_id="b")
        mouth.speaker.begin("p", context_id="b")
        mouth.speaker.audio(audio(200))
        mouth.speaker.end()
        await asyncio.sleep(1)
        assert spoken(mouth) == [("found", "found", False)]


@virtual_time
async def test_phrases_beyond_what_may_wait_are_not_said_and_told_once() -> None:
    async with speaking_mouth() as mouth:
        ends: list[int] = []

        async def ended() -> None:
            ends.append(len(ends))

        for number in range(100):
            mouth.speaker.say(f"phrase {number}", audio(30_000), "p", then=ended)
        assert mouth.dropped == ["playout"] * 90
        kinds = [event.kind for event in mouth.events if isinstance(event, Degraded)]
        assert kinds == ["playout_full"]
        await asyncio.sleep(400)
        texts = [text for text, heard, _ in spoken(mouth) if heard]
        assert texts == [f"phrase {number}" for number in range(10)]
        assert len(ends) == 100, "who waits for the end of a phrase is told in any case"


@virtual_time
async def test_what_was_heard_is_told_before_a_blocked_line_has_taken_the_end() -> None:
    """The call may be over before the line gives up, and its transcript with it."""
    async with speaking_mouth() as mouth:
        blocked = asyncio.Event()

        async def clear(heard_until: float) -> bool:
            await blocked.wait()
            return False

        mouth.speaker.say("one two three four", audio(800), "p")
        await asyncio.sleep(0.5)
        mouth.line.clear = clear  # type: ignore[method-assign]
        ending = asyncio.create_task(mouth.speaker.hang_up())
        await asyncio.sleep(0.01)
        assert not ending.done()
        assert spoken(mouth) == [("one two three four", "one two", True)]
        blocked.set()
        await ending
