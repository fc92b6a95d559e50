"""What the doors of ``/api/v1/calls`` answer with."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from storage.index.entry import CallState, IndexedCall


class CallSummary(BaseModel):
    """One call, as a list shows it."""

    call_id: str = Field(description="The server's own id of the call, a UUID.")
    carrier_call_id: str | None = Field(description="The carrier's id; several calls may have it.")
    agent_id: str = Field(description="Who answered or called.")
    direction: str = Field(description="inbound, outbound or client.")
    from_number: str | None = Field(description="Who called, in E.164 where it is a number.")
    to_number: str | None = Field(description="Who was called.")
    started_at: str = Field(description="ISO 8601 in UTC.")
    ended_at: str | None = Field(description="None while the call goes on.")
    duration_seconds: float | None = Field(description="None while the call goes on.")
    status: CallState = Field(
        description="live; ended (recording, transcript and record are not in the store yet); "
        "stored; lost (it broke off with its server, and nothing is left of it)."
    )
    end_cause: str | None = Field(description="Why it ended; None while it goes on.")
    has_recording: bool = Field(description="Whether a recording is in the store.")

    @classmethod
    def of(cls, call: IndexedCall) -> "CallSummary":
        """The summary of a row of the index."""
        return cls(**summary(call))


class CallPage(BaseModel):
    """A page of calls, the latest first."""

    calls: list[CallSummary]
    next_cursor: str | None = Field(
        description="Ask with it as cursor for the calls before these; None where there are none."
    )


class CallStatus(BaseModel):
    """How far a call has come."""

    call_id: str
    carrier_call_id: str | None
    agent_id: str
    status: CallState
    state: str = Field(
        description="Of a live call: admitted, running or ending; otherwise as status."
    )
    end_cause: str | None
    seconds: float | None = Field(description="How long it has lasted, or lasted.")


class CarrierSound(BaseModel):
    """How the carrier's own recording of a call stands."""

    state: str = Field(description="pending, stored, failed or deleted.")
    url: str | None = Field(description="Where it lies, once it is stored.")
    detail: str = Field(description="Why it failed.")


class CallDetails(CallSummary):
    """One call, with its record and where its parts lie."""

    state: str = Field(
        description="Of a live call: admitted, running or ending; otherwise as status."
    )
    recording: str | None = Field(description="Where it lies, such as minio://recordings/…")
    carrier_recording: CarrierSound | None = Field(
        description="The carrier's own; None where it was not asked for one."
    )
    transcript: str | None = Field(description="Where its JSON form lies.")
    record: str | None = Field(description="Where the record lies.")
    details: dict[str, Any] | None = Field(
        description="The record; of a live call what is known so far, without its end."
    )
    same_carrier_call_id: list[str] = Field(
        description="Other calls with this one's carrier_call_id, the latest first: a carrier "
        "may open several streams for one call."
    )


class Done(BaseModel):
    """Something was done to a live call."""

    call_id: str
    done: str


def summary(call: IndexedCall) -> dict[str, Any]:
    """The fields of :class:`CallSummary`."""
    ended = call.ended_at_ms
    return {
        "call_id": call.session_id,
        "carrier_call_id": call.carrier_call_id,
        "agent_id": call.agent_id,
        "direction": call.direction,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "started_at": _instant(call.started_at_ms),
        "ended_at": None if ended is None else _instant(ended),
        "duration_seconds": None if ended is None else (ended - call.started_at_ms) / 1000,
        "status": call.status,
        "end_cause": call.end_cause,
        "has_recording": call.recording_key is not None,
    }


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
