"""The record of a call: everything about it but what was said, as one JSON document."""

import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec

from bot.events import (
    END_CAUSES,
    AgentSpeech,
    CallEnded,
    CallerTranscript,
    CallEvent,
    CallStarted,
    CarrierNotice,
    Degraded,
    Interrupted,
    LanguageChanged,
    TurnMetrics,
)
from config.prices import PricesSettings
from sessions.journal_format import JournalHeader, Part
from sessions.transcript import wall_clock
from sessions.usage import CostRecord, UsageRecord, make_cost, make_usage

RecordingState = Literal["stored", "empty", "off", "failed", "deleted"]


class TurnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How long one turn took; see :class:`bot.events.TurnMetrics`."""

    turn: int
    at_ms: float
    response_ms: float | None
    stt_ms: float | None
    llm_ms: float | None
    tts_ms: float | None


class DegradedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something that failed while the call went on."""

    at_ms: float
    stage: str
    kind: str
    provider: str | None
    detail: str


class LanguageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """From when on another language was spoken, and by whose wish."""

    at_ms: float
    language: str
    reason: str


class NoticeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier said."""

    at_ms: float
    name: str
    detail: str


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """Where a part of the call is kept.

    Attributes:
        kind: The store's kind: ``recordings`` or ``transcripts``.
        url: Its place for people and backends, such as ``minio://recordings/2026/…``.
    """

    kind: Literal["recordings", "transcripts"]
    key: str
    url: str
    content_type: str
    size_bytes: int
    sha256: str


class RecordingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The sound of the call.

    Attributes:
        state: ``stored``; ``empty`` (no audio came or went); ``off`` (not wanted by the agent);
            ``deleted`` (it was stored, until its time was up or its erasure was asked for);
            ``failed`` (there was audio, and no recording could be made of it; or, where there
            is a file, audio is missing in it because the disk failed).
        complete: False where audio was lost on its way to the disk.
    """

    state: RecordingState
    complete: bool = True
    file: StoredFile | None = None
    duration_ms: float = 0.0
    caller_ms: float = 0.0
    agent_ms: float = 0.0
    rate_hz: int | None = None
    channels: int | None = None


class CarrierRecording(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier's own recording of the call.

    Attributes:
        state: ``pending`` (the carrier has not handed it over yet); ``stored``; ``failed``
            (``detail`` says why); ``deleted`` (with ours, or before it came).
        recording_id: The carrier's.
    """

    state: Literal["pending", "stored", "failed", "deleted"]
    recording_id: str | None = None
    file: StoredFile | None = None
    detail: str = ""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A call from beginning to end.

    Attributes:
        started_at: Wall clock, ISO 8601 in UTC; ``ended_at`` is the same clock plus the
            monotonic duration.
        end_cause: One of ``bot.events.END_CAUSES``; ``crash`` where no end was written.
        agent_hash: Of the agent's configuration that served the call.
        vendors: Stage to the providers that took part, in the order they did.
        transcript: JSON form; ``transcript_text``: the same for people; ``transcript_vtt``:
            the same as WebVTT, to be shown beside the recording.
        carrier_recording: None where none was asked for.
        usage: None in records of older servers.
        cost: None where no prices are set.
        delete_after: When the parts of the call are to be deleted (a date in UTC).
        erased_at: When everything that tells of a person was taken out, where that was asked.
    """

    session_id: str
    agent_id: str
    agent_name: str
    agent_hash: str
    language: str | None
    direction: str
    dialect: str
    carrier_call_id: str | None
    carrier_stream_id: str | None
    from_number: str | None
    to_number: str | None
    started_at: str
    ended_at: str
    duration_seconds: float
    end_cause: str
    turns: list[TurnRecord]
    interruptions: int
    vendors: dict[str, list[str]]
    degraded: list[DegradedRecord]
    notices: list[NoticeRecord]
    recording: RecordingRecord
    carrier_recording: CarrierRecording | None = None
    transcript: StoredFile | None = None
    transcript_text: StoredFile | None = None
    transcript_vtt: StoredFile | None = None
    usage: UsageRecord | None = None
    cost: CostRecord | None = None
    delete_after: dict[Part, str] = {}
    erased_at: str | None = None
    labels: dict[str, str] = {}
    language_changes: list[LanguageRecord] = []
    version: int = 1


def make_record(
    header: JournalHeader,
    events: Sequence[CallEvent],
    recording: RecordingRecord,
    *,
    last_ms: float = 0.0,
    prices: PricesSettings | None = None,
) -> CallRecord:
    """Build the record of a call; the files' places are filled in when they are stored.

    Args:
        events: The call's events in the order they happened.
        prices: For its cost.
        last_ms: Latest sign of life besides the events: the end of the audio.
    """
    started = next((e for e in events if isinstance(e, CallStarted)), None)
    ended = next((e for e in reversed(events) if isinstance(e, CallEnded)), None)
    duration_ms = ended.at_ms if ended else max([last_ms, *(event.at_ms for event in events)])
    usage = make_usage(events, header.vendors, recording.caller_ms, duration_ms)
    return CallRecord(
        session_id=header.session_id,
        agent_id=header.agent_id,
        agent_name=header.agent_name,
        agent_hash=header.agent_hash,
        language=header.language,
        direction=started.direction if started else header.direction,
        dialect=header.dialect,
        carrier_call_id=header.carrier_call_id or (started.carrier_call_id if started else None),
        carrier_stream_id=header.carrier_stream_id,
        from_number=header.from_number or (started.from_number if started else None),
        to_number=header.to_number or (started.to_number if started else None),
        started_at=wall_clock(header.started_at),
        ended_at=wall_clock(header.started_at, duration_ms),
        duration_seconds=round(duration_ms / 1000, 3),
        end_cause=_end_cause(ended),
        turns=[_turn(e) for e in events if isinstance(e, TurnMetrics)],
        interruptions=sum(isinstance(event, Interrupted) for event in events),
        vendors=_vendors(header, events),
        degraded=[_degraded(e) for e in events if isinstance(e, Degraded)],
        notices=[
            NoticeRecord(at_ms=e.at_ms, name=e.name, detail=e.detail)
            for e in events
            if isinstance(e, CarrierNotice)
        ],
        recording=recording,
        carrier_recording=(
            CarrierRecording(state="pending")
            if started is not None and header.carrier_recording_seconds
            else None
        ),
        labels=header.labels,
        usage=usage,
        cost=make_cost(usage, prices or PricesSettings(), header.dialect, duration_ms),
        delete_after=_delete_after(header),
        language_changes=[
            LanguageRecord(at_ms=e.at_ms, language=e.language, reason=e.reason)
            for e in events
            if isinstance(e, LanguageChanged)
        ],
    )


def _today() -> date:
    return datetime.now(UTC).date()


def _delete_after(header: JournalHeader) -> dict[Part, str]:
    """Whole days from today, or from the call's own day where that is later.

    The clock may have been behind when the call was taken, and been set since: by the call's own
    day alone, it could be due before it is stored. The number can be too large for a calendar.
    """
    day = max(datetime.fromtimestamp(header.started_at, UTC).date(), _today())
    found: dict[Part, str] = {}
    for part, days in header.retention_days.items():
        with contextlib.suppress(OverflowError):
            found[part] = (day + timedelta(days=days)).isoformat()
    return found


def _end_cause(ended: CallEnded | None) -> str:
    if ended is None:
        return "crash"
    return ended.cause if ended.cause in END_CAUSES else "internal_error"


def _turn(event: TurnMetrics) -> TurnRecord:
    return TurnRecord(
        turn=event.turn,
        at_ms=event.at_ms,
        response_ms=event.response_ms,
        stt_ms=event.stt_ms,
        llm_ms=event.llm_ms,
        tts_ms=event.tts_ms,
    )


def _degraded(event: Degraded) -> DegradedRecord:
    return DegradedRecord(
        at_ms=event.at_ms,
        stage=event.stage,
        kind=event.kind,
        provider=event.provider,
        detail=event.detail,
    )


def _vendors(header: JournalHeader, events: Iterable[CallEvent]) -> dict[str, list[str]]:
    """Those that are seen in the events; for the rest, the first of those asked for."""
    seen: dict[str, list[str]] = {}
    for event in events:
        stage, name = "", ""
        if isinstance(event, CallerTranscript) and event.source == "speech":
            stage, name = "stt", event.provider
        elif isinstance(event, AgentSpeech):
            stage, name = "tts", event.provider
        if name and name not in seen.setdefault(stage, []):
            seen[stage].append(name)
    asked = {stage: names[:1] for stage, names in header.vendors.items()}
    return asked | seen
