"""What was said and heard in a call, from its events: as JSON, and as text for people.

The agent's lines hold what the caller heard of them, not what was sent; the caller's hold final
transcripts, typed text and keys, and what was understood of words that a hang-up or a crash cut
off.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal

import msgspec

from bot.events import AgentSpeech, CallerTranscript, CallEvent, DtmfReceived

Role = Literal["user", "assistant"]

#: Indian Standard Time; the text form bears local times, as VoiceERA's dashboards expect.
IST = timezone(timedelta(hours=5, minutes=30), "IST")

#: Keys pressed further apart are different entries, in ms.
_DTMF_GAP_MS = 4_000.0


class Utterance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a transcript.

    Attributes:
        started_ms: Since the session began.
        at: Wall clock of the same instant, ISO 8601 with offset.
        interrupted: The caller cut it off, at ``ended_ms``; ``text`` is what was heard.
        sent_text: All that would have been said, where it was cut off.
        final: False for the caller's last words where the call ended before their vendor had
            its last word on them.
    """

    role: Role
    text: str
    started_ms: float
    ended_ms: float
    at: str
    source: Literal["speech", "text", "dtmf"] = "speech"
    language: str | None = None
    confidence: float | None = None
    provider: str | None = None
    interrupted: bool = False
    sent_text: str | None = None
    final: bool = True


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """All that was said and heard in a call, in the order it began."""

    session_id: str
    started_at: str
    utterances: list[Utterance]


def make_transcript(session_id: str, started_at: float, events: Iterable[CallEvent]) -> Transcript:
    """Build the transcript of a call.

    Args:
        started_at: Wall clock of ms zero, in seconds since 1970.
        events: The call's events in the order they happened.
    """
    events = list(events)
    pieces = [*_pieces(events), *_last_words(events)]
    found = [_utterance(piece, started_at) for piece in pieces]
    return Transcript(
        session_id=session_id,
        started_at=wall_clock(started_at),
        utterances=sorted(found, key=lambda line: line.started_ms),
    )


def wall_clock(started_at: float, at_ms: float = 0.0, zone: tzinfo = UTC) -> str:
    """ISO 8601 of ``at_ms`` into a session, to the millisecond."""
    instant = datetime.fromtimestamp(started_at, zone) + timedelta(milliseconds=at_ms)
    return instant.isoformat(timespec="milliseconds")


def as_text(transcript: Transcript, zone: tzinfo = IST) -> str:
    """One line per utterance: ``[2026-11-01 12:00:00] user: …``, in the time of ``zone``."""
    lines = []
    for line in transcript.utterances:
        stamp = datetime.fromisoformat(line.at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        # A line break in what was said must not look like another line.
        lines.append(f"[{stamp}] {line.role}: {' '.join(line.text.split())}\n")
    return "".join(lines)


@dataclass(frozen=True, slots=True)
class _Keys:
    digits: str
    started_ms: float
    ended_ms: float


def _pieces(events: Iterable[CallEvent]) -> Iterator[CallerTranscript | AgentSpeech | _Keys]:
    """The events that are lines; keys in groups, unless a transcript already speaks of them."""
    keys: _Keys | None = None
    for event in events:
        if isinstance(event, DtmfReceived):
            if keys and event.at_ms - keys.ended_ms <= _DTMF_GAP_MS:
                keys = _Keys(keys.digits + event.digit, keys.started_ms, event.at_ms)
                continue
            if keys:
                yield keys
            keys = _Keys(event.digit, event.at_ms, event.at_ms)
        elif isinstance(event, CallerTranscript) and event.final and event.text.strip():
            if keys and event.source != "dtmf":
                yield keys
            keys = None
            yield event
        elif isinstance(event, AgentSpeech) and event.heard_text.strip():
            yield event
    if keys:
        yield keys


def _last_words(events: Iterable[CallEvent]) -> list[CallerTranscript]:
    """What was understood so far of words that nothing came after: no final text, no answer."""
    found: list[CallerTranscript] = []
    for event in events:
        if isinstance(event, CallerTranscript) and event.source == "speech":
            found = [] if event.final or not event.text.strip() else [event]
        elif isinstance(event, AgentSpeech) and found and event.started_ms > found[0].at_ms:
            found = []
    return found


def _utterance(piece: CallerTranscript | AgentSpeech | _Keys, started_at: float) -> Utterance:
    at = wall_clock(started_at, piece.started_ms)
    if isinstance(piece, _Keys):
        return Utterance(
            role="user",
            text=piece.digits,
            started_ms=piece.started_ms,
            ended_ms=piece.ended_ms,
            at=at,
            source="dtmf",
        )
    if isinstance(piece, CallerTranscript):
        return Utterance(
            role="user",
            text=piece.text.strip(),
            started_ms=piece.started_ms,
            ended_ms=piece.at_ms,
            at=at,
            source=piece.source,
            language=piece.language,
            confidence=piece.confidence,
            provider=piece.provider,
            final=piece.final,
        )
    return Utterance(
        role="assistant",
        text=piece.heard_text.strip(),
        started_ms=piece.started_ms,
        ended_ms=piece.at_ms,
        at=at,
        language=piece.language,
        provider=piece.provider,
        interrupted=piece.interrupted,
        sent_text=piece.text.strip() if piece.interrupted else None,
    )
