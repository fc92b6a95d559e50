"""What a call used of each vendor, and what that cost by the prices in the settings.

Reckoned from the call's events, so it is an estimate, not a bill: speech-to-text is counted by
the caller's sound, text-to-speech by the characters of what began to be spoken (also of phrases
that were kept from an earlier call), a language model by the tokens it reports.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from bot.events import AgentSpeech, CallerTranscript, CallEvent, ModelUsage
from config.prices import PricesSettings


class SttUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How much sound a vendor was given, silence included."""

    provider: str
    seconds: float


class LlmUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a model reported; a vendor that reports nothing is not listed."""

    provider: str
    requests: int
    input_tokens: int
    output_tokens: int


class TtsUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How many characters (Unicode code points) a vendor was given to speak."""

    provider: str
    characters: int


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a call used, by stage and vendor."""

    stt: list[SttUsage] = []
    llm: list[LlmUsage] = []
    tts: list[TtsUsage] = []


class CostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a call cost.

    Attributes:
        parts: Stage and vendor, such as ``tts.sarvam``, to the amount.
        unpriced: What was used and has no price; ``total`` is without it.
    """

    currency: str
    total: float
    parts: dict[str, float]
    unpriced: list[str] = []


def make_usage(
    events: Sequence[CallEvent], asked: dict[str, list[str]], caller_ms: float, duration_ms: float
) -> UsageRecord:
    """Add up what the events of a call tell.

    Args:
        asked: Stage to the vendors that were asked for, in order.
        caller_ms: The caller's sound; 0 where none was kept, then ``duration_ms`` counts.
    """
    return UsageRecord(
        stt=_stt(events, asked.get("stt", []), caller_ms or duration_ms, duration_ms),
        llm=_llm(events),
        tts=_tts(events),
    )


def _stt(
    events: Iterable[CallEvent], asked: Sequence[str], sound_ms: float, duration_ms: float
) -> list[SttUsage]:
    """The call's sound, shared out by when the next vendor's first utterance began."""
    turns: list[tuple[str, float]] = [(asked[0], 0.0)] if asked else []
    for event in events:
        if isinstance(event, CallerTranscript) and event.source == "speech":
            if not turns:
                turns.append((event.provider, 0.0))
            elif event.provider != turns[-1][0]:
                turns.append((event.provider, event.started_ms))
    if not turns:
        return []
    spans: dict[str, float] = defaultdict(float)
    ends = [start for _, start in turns[1:]] + [duration_ms]
    for (provider, start), end in zip(turns, ends, strict=True):
        spans[provider] += max(0.0, end - start)
    whole = sum(spans.values())
    return [
        SttUsage(provider=name, seconds=round(sound_ms * span / whole / 1000, 3))
        for name, span in spans.items()
        if whole > 0 and span > 0
    ]


def _llm(events: Iterable[CallEvent]) -> list[LlmUsage]:
    found: dict[str, list[ModelUsage]] = defaultdict(list)
    for event in events:
        if isinstance(event, ModelUsage):
            found[event.provider].append(event)
    return [
        LlmUsage(
            provider=name,
            requests=len(reports),
            input_tokens=sum(report.input_tokens for report in reports),
            output_tokens=sum(report.output_tokens for report in reports),
        )
        for name, reports in found.items()
    ]


def _tts(events: Iterable[CallEvent]) -> list[TtsUsage]:
    characters: dict[str, int] = defaultdict(int)
    for event in events:
        if isinstance(event, AgentSpeech) and event.provider:
            characters[event.provider] += len(event.text)
    return [TtsUsage(provider=name, characters=n) for name, n in characters.items() if n]


def make_cost(
    usage: UsageRecord, prices: PricesSettings, dialect: str, duration_ms: float
) -> CostRecord | None:
    """What a usage cost; None where no price is given at all.

    Args:
        dialect: Whose line it was, such as ``vobiz``.
    """
    if not prices.is_given:
        return None
    amounts: dict[str, float | None] = {}
    for stt in usage.stt:
        price = prices.stt.get(stt.provider)
        amounts[f"stt.{stt.provider}"] = price.of(stt.seconds) if price else None
    for llm in usage.llm:
        model = prices.llm.get(llm.provider)
        amounts[f"llm.{llm.provider}"] = (
            model.of(llm.input_tokens, llm.output_tokens) if model else None
        )
    for tts in usage.tts:
        voice = prices.tts.get(tts.provider)
        amounts[f"tts.{tts.provider}"] = voice.of(tts.characters) if voice else None
    if (line := prices.line.get(dialect)) is not None:
        amounts[f"line.{dialect}"] = line.of(duration_ms / 1000)
    parts = {name: round(amount, 6) for name, amount in amounts.items() if amount is not None}
    return CostRecord(
        currency=prices.currency,
        total=round(sum(parts.values()), 6),
        parts=parts,
        unpriced=[name for name, amount in amounts.items() if amount is None],
    )
