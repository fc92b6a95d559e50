"""What a call used, and what that cost."""

import pytest

from bot.events import AgentSpeech, CallerTranscript, CallEvent, ModelUsage
from config.prices import CharacterPrice, MinutePrice, PricesSettings, TokenPrice
from sessions.usage import LlmUsage, SttUsage, TtsUsage, UsageRecord, make_cost, make_usage


def heard(provider: str, started_ms: float) -> CallerTranscript:
    return CallerTranscript(
        at_ms=started_ms + 500,
        text="x",
        final=True,
        started_ms=started_ms,
        language="hi",
        confidence=None,
        provider=provider,
    )


def spoke(provider: str, text: str) -> AgentSpeech:
    return AgentSpeech(
        at_ms=2.0,
        turn=1,
        started_ms=1.0,
        text=text,
        heard_text="",
        interrupted=True,
        language="hi",
        provider=provider,
    )


def tokens(provider: str, asked: int, answered: int) -> ModelUsage:
    return ModelUsage(at_ms=1.0, provider=provider, input_tokens=asked, output_tokens=answered)


EVENTS: list[CallEvent] = [
    heard("sarvam", 2_000),
    spoke("cartesia", "नमस्ते"),
    tokens("openai", 100, 10),
    heard("deepgram", 45_000),
    tokens("openai", 200, 20),
    spoke("cartesia", "ok"),
    spoke("espeak", "bye"),
]


def test_what_each_vendor_was_given() -> None:
    asked = {"stt": ["sarvam", "deepgram"], "llm": ["openai"], "tts": ["cartesia"]}
    assert make_usage(EVENTS, asked, 60_000, 60_000) == UsageRecord(
        stt=[
            SttUsage(provider="sarvam", seconds=45.0),
            SttUsage(provider="deepgram", seconds=15.0),
        ],
        llm=[LlmUsage(provider="openai", requests=2, input_tokens=300, output_tokens=30)],
        tts=[
            TtsUsage(provider="cartesia", characters=8),
            TtsUsage(provider="espeak", characters=3),
        ],
    )


@pytest.mark.parametrize(
    ("caller_ms", "duration_ms", "seconds"),
    [(30_000, 60_000, 30.0), (0, 60_000, 60.0)],
)
def test_the_callers_sound_counts_or_else_the_calls_length(
    caller_ms: float, duration_ms: float, seconds: float
) -> None:
    usage = make_usage([], {"stt": ["sarvam"]}, caller_ms, duration_ms)
    assert usage.stt == [SttUsage(provider="sarvam", seconds=seconds)]
    assert (usage.llm, usage.tts) == ([], [])


def test_a_call_of_no_length_used_nothing() -> None:
    assert make_usage([], {"stt": ["sarvam"]}, 0, 0) == UsageRecord()
    assert make_usage([], {}, 0, 5000) == UsageRecord()


def test_cost_by_the_prices_that_are_known() -> None:
    usage = make_usage(EVENTS, {"stt": ["sarvam"]}, 60_000, 60_000)
    prices = PricesSettings(
        stt={"sarvam": MinutePrice(per_minute=0.6)},
        llm={"openai": TokenPrice(per_million_input_tokens=1000, per_million_output_tokens=10_000)},
        tts={"cartesia": CharacterPrice(per_thousand_characters=5)},
        line={"vobiz": MinutePrice(per_minute=0.4)},
    )
    cost = make_cost(usage, prices, "vobiz", 60_000)
    assert cost is not None
    assert cost.parts == {
        "stt.sarvam": 0.45,
        "llm.openai": 0.6,
        "tts.cartesia": 0.04,
        "line.vobiz": 0.4,
    }
    assert (cost.currency, cost.total) == ("INR", 1.49)
    assert cost.unpriced == ["stt.deepgram", "tts.espeak"]


def test_without_prices_there_is_no_cost() -> None:
    usage = make_usage(EVENTS, {}, 1, 1)
    assert make_cost(usage, PricesSettings(currency="USD"), "vobiz", 1) is None
