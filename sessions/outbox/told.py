"""What is known of a call that others are told of, whether it lives, has ended or was stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sessions.journal_format import JournalHeader
from sessions.record import CallRecord
from sessions.transcript import wall_clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldCall:
    """A call, the same whether it was taken from its beginning or from its record.

    Attributes:
        started_at: ISO 8601 in UTC, to the millisecond.
        labels: The agent's metadata and what was added to them.
    """

    session_id: str
    carrier_call_id: str | None
    agent_id: str
    agent_name: str
    direction: str
    from_number: str | None
    to_number: str | None
    started_at: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        """The carrier's id, which backends know; ours where no carrier took part."""
        return self.carrier_call_id or self.session_id

    @property
    def started_seconds(self) -> float:
        """The beginning, in seconds since 1970."""
        return datetime.fromisoformat(self.started_at).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnd:
    """How a call ended; ``at`` as ``ToldCall.started_at``."""

    at: str
    cause: str
    duration_seconds: float


def call_of_header(header: JournalHeader) -> ToldCall:
    """A call that has just begun."""
    return ToldCall(
        session_id=header.session_id,
        carrier_call_id=header.carrier_call_id,
        agent_id=header.agent_id,
        agent_name=header.agent_name,
        direction=header.direction,
        from_number=header.from_number,
        to_number=header.to_number,
        started_at=wall_clock(header.started_at),
        labels=header.labels,
    )


def call_of_record(record: CallRecord) -> ToldCall:
    """A call that has been stored."""
    return ToldCall(
        session_id=record.session_id,
        carrier_call_id=record.carrier_call_id,
        agent_id=record.agent_id,
        agent_name=record.agent_name,
        direction=record.direction,
        from_number=record.from_number,
        to_number=record.to_number,
        started_at=record.started_at,
        labels=record.labels,
    )


def end_of_header(header: JournalHeader, at_ms: float, cause: str) -> CallEnd:
    """The end of a call that was live until now."""
    return CallEnd(
        at=wall_clock(header.started_at, at_ms),
        cause=cause,
        duration_seconds=round(at_ms / 1000, 3),
    )


def end_of_record(record: CallRecord) -> CallEnd:
    """The end of a stored call."""
    return CallEnd(
        at=record.ended_at, cause=record.end_cause, duration_seconds=record.duration_seconds
    )
