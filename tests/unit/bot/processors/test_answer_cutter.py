"""From the model's tokens to what is spoken."""

import asyncio

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.tests.utils import run_test

from bot.events import AgentText, CallEvent
from bot.hold import HoldKeeper
from bot.processors.answer_cutter import AnswerCutter
from bot.reporter import CallReporter
from services.actions import CallActionFrame
from tests.unit.bot.fakes import make_mouth


async def cut(*frames: Frame) -> tuple[list[Frame], list[tuple[str, bool]]]:
    """What comes out, and what was reported."""
    events: list[CallEvent] = []
    reporter = CallReporter("en-IN")
    reporter.begin(events.append, asyncio.get_running_loop().time())
    hold = HoldKeeper(make_mouth().playout, 0, lambda _number: None)
    down, _ = await run_test(
        AnswerCutter(reporter, hold), frames_to_send=list(frames), start_timeout=60
    )
    told = [(event.text, event.final) for event in events if isinstance(event, AgentText)]
    return list(down), told


def tokens(text: str) -> list[Frame]:
    """An answer, four characters at a time."""
    pieces = [text[start : start + 4] for start in range(0, len(text), 4)]
    return [LLMFullResponseStartFrame(), *map(LLMTextFrame, pieces), LLMFullResponseEndFrame()]


def texts(frames: list[Frame]) -> list[str]:
    """What is to be spoken."""
    return [frame.text for frame in frames if isinstance(frame, AggregatedTextFrame)]


async def test_sentences_and_the_end_of_the_answer() -> None:
    frames, told = await cut(*tokens("नमस्ते। कैसे हैं? Fine."))
    assert texts(frames) == ["नमस्ते।", "कैसे हैं?", "Fine."]
    assert told == [("नमस्ते।", False), ("कैसे हैं?", False), ("Fine.", True)]


async def test_an_answer_that_ends_with_a_hard_end_is_told_as_ended() -> None:
    frames, told = await cut(*tokens("Really? Yes!"))
    assert texts(frames) == ["Really?", "Yes!"]
    assert told == [("Really?", False), ("Yes!", False), ("", True)]


async def test_markdown_and_emoji_are_not_spoken() -> None:
    frames, _ = await cut(*tokens("## Hours\n- **Monday** to Friday\n---\n- Sunday 🎉\n\n😀"))
    assert texts(frames) == ["Hours", "Monday to Friday", "Sunday"]


async def test_an_action_comes_behind_the_words_before_it() -> None:
    frames, _ = await cut(
        LLMFullResponseStartFrame(),
        LLMTextFrame("Goodbye then."),
        CallActionFrame(action="end"),
        LLMFullResponseEndFrame(),
    )
    kinds = [type(frame) for frame in frames]
    assert kinds.index(AggregatedTextFrame) < kinds.index(CallActionFrame)
    assert texts(frames) == ["Goodbye then."]


async def test_an_interruption_forgets_what_was_not_spoken() -> None:
    frames, _ = await cut(
        LLMFullResponseStartFrame(),
        LLMTextFrame("This is never"),
        InterruptionFrame(),
        *tokens("New."),
    )
    assert texts(frames) == ["New."]


async def test_text_that_is_not_to_be_spoken_passes() -> None:
    hidden = LLMTextFrame("hidden. ")
    hidden.skip_tts = True
    frames, told = await cut(hidden)
    assert texts(frames) == [] and told == []
    assert [f.text for f in frames if isinstance(f, LLMTextFrame)] == ["hidden. "]
