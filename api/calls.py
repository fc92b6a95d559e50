"""Calls that are live or were stored lately."""

from typing import Any, Literal

import msgspec
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from api.access import Operator
from api.parts import Parts
from config.errors import ConfigError
from config.languages import resolve_language
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


class WantedLanguage(BaseModel):
    """What a call is to go on in: a code or a name."""

    language: str = Field(max_length=64)


class LanguageAnswer(BaseModel):
    """``ready``: from the end of what is being said; ``already``: it is spoken as it is."""

    language: str
    state: Literal["ready", "already"]


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


@router.post("/{call_id}/language", status_code=202)
async def change_language(
    call_id: str, wanted: WantedLanguage, parts: Parts, _operator: Operator
) -> LanguageAnswer:
    """Have the agent of a live call go on in another of its languages, after what is being said.

    409 where the agent does not speak it, 503 where nobody who does can be reached now; the
    call stays as it is then.
    """
    session = parts.manager.find(call_id)
    if session is None:
        raise HTTPException(404, "no call of that id is live")
    try:
        language = resolve_language(wanted.language)
    except ConfigError as error:
        raise HTTPException(422, error.message) from error
    outcome = await session.switch_language(language)
    if outcome == "not_spoken":
        spoken = ", ".join(session.agent.spoken_languages)
        raise HTTPException(409, f"the agent does not speak {language}; it speaks {spoken}")
    if outcome == "unavailable":
        raise HTTPException(503, f"nobody who serves {language} can be reached now")
    return LanguageAnswer(language=language, state=outcome)


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
