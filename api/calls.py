"""Calls that are live or were stored lately."""

from typing import Any

import msgspec
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel

from api.access import Operator
from api.parts import Parts
from sessions.keeper import StoredCall
from sessions.session import CallSession

router = APIRouter(prefix="/api/v1/calls", tags=["calls"])


class CallStatus(BaseModel):
    """A live call."""

    call_id: str
    carrier_call_id: str | None
    agent_id: str
    state: str
    seconds: float


class CallPlaces(BaseModel):
    """A call that ended, and where its parts lie."""

    call_id: str
    carrier_call_id: str | None
    state: str
    recording: str | None
    transcript: str | None
    record: str
    details: dict[str, Any]


@router.get("")
async def live_calls(parts: Parts, _operator: Operator) -> list[CallStatus]:
    """The calls that are live now."""
    return [_status(session) for session in parts.manager]


@router.get("/{call_id}")
async def call(call_id: str, parts: Parts, _operator: Operator) -> CallStatus | CallPlaces:
    """A live call's state, or where an ended call was stored; by our id or the carrier's."""
    session = parts.manager.find(call_id)
    if session is not None:
        return _status(session)
    stored = parts.manager.stored(call_id)
    if stored is None:
        raise HTTPException(404, "no call of that id is live or was stored lately")
    return _places(stored)


def _status(session: CallSession) -> CallStatus:
    return CallStatus(
        call_id=session.session_id,
        carrier_call_id=session.facts.carrier_call_id,
        agent_id=session.agent.agent_id,
        state=session.state,
        seconds=round(session.seconds(), 1),
    )


def _places(stored: StoredCall) -> CallPlaces:
    record = stored.record
    sound, words = record.recording.file, record.transcript
    return CallPlaces(
        call_id=record.session_id,
        carrier_call_id=record.carrier_call_id,
        state="stored",
        recording=sound.url if sound else None,
        transcript=words.url if words else None,
        record=stored.record_url,
        details=msgspec.to_builtins(record),
    )
