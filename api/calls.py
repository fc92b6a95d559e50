"""``/api/v1/calls``: which calls there were and are, and each one's record."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field

from api.access import Operator
from api.call_models import (
    CallDetails,
    CallPage,
    CallStatus,
    CallSummary,
    CarrierSound,
    summary,
)
from api.cursors import MAX_CHARS, CursorError, Cursors
from api.found_calls import ERRORS, Found, told_as_http
from api.parts import Parts
from bot.events import END_CAUSES
from config.errors import StorageError
from sessions.index_entries import indexed_number
from sessions.record import CarrierRecording, StoredFile
from sessions.tokens import ANY_AGENT
from storage.index.entry import CallFilter, CallState, plain

router = APIRouter(prefix="/api/v1/calls", tags=["calls"])

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_RECORD_AWAY: Final = (
    "nothing_kept",
    "call_not_ready",
    "call_elsewhere",
    "storage_not_found",
    "storage_corrupt",
)
_LIST_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "Not a cursor of this list"},
    401: ERRORS[401],
    503: ERRORS[503],
}


def _cause(value: str) -> str:
    if value not in END_CAUSES:
        raise ValueError(f"must be one of {', '.join(END_CAUSES)}")
    return value


def _something(value: str) -> str:
    # An empty filter must not be taken for none: it would list every call.
    if plain(value.strip()) is None:
        raise ValueError("must not be empty; leave it out to ask for all")
    return value


def _written_out(value: object) -> object:
    # A bare number would be taken for seconds or milliseconds since 1970, as it is large.
    if isinstance(value, str) and value[4:5] != "-":
        raise ValueError("must be ISO 8601 with Z or an offset, such as 2026-11-21T00:00:00Z")
    return value


Text = Annotated[str, AfterValidator(_something)]
Instant = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class Wanted(BaseModel):
    """Which calls are asked for; all of what is given must hold."""

    model_config = {"extra": "forbid"}

    agent_id: Text | None = Field(default=None, max_length=256, description="Of this agent.")
    number: Text | None = Field(
        default=None,
        max_length=64,
        description="From or to this number. Indian numbers may be written as they are dialled: "
        "098…, 98…, 91 98…; others in E.164, with + as %2B.",
    )
    started_from: Instant | None = Field(
        default=None, description="Begun then or later; ISO 8601 with Z or an offset (+ as %2B)."
    )
    started_before: Instant | None = Field(default=None, description="Begun before then.")
    status: CallState | None = Field(default=None, description="That have come so far.")
    end_cause: Annotated[str, AfterValidator(_cause)] | None = Field(
        default=None,
        description="That ended for this cause.",
        json_schema_extra={"enum": [*END_CAUSES, None]},
    )
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Calls in a page.")
    cursor: str | None = Field(
        default=None,
        max_length=MAX_CHARS,
        description="next_cursor of the page before, with the same filter.",
    )

    def filter(self, agent_id: str | None) -> CallFilter:
        """What is asked of the index; ``agent_id`` is the only agent that may be seen."""
        return CallFilter(
            agent_id=plain(self.agent_id) or agent_id,
            number=_number(self.number),
            started_from_ms=_ms(self.started_from),
            started_before_ms=_ms(self.started_before),
            status=self.status,
            end_cause=self.end_cause,
        )


@router.get("", responses=_LIST_ERRORS)
async def list_calls(
    parts: Parts, viewer: Operator, wanted: Annotated[Wanted, Query()]
) -> CallPage:
    """Calls that are live, were live or were stored, the latest first.

    A token for one agent sees that agent's calls. Calls that begin while pages are turned come
    before the first page and move no other.
    """
    if wanted.agent_id is not None and not viewer.may_talk_to(wanted.agent_id):
        return CallPage(calls=[], next_cursor=None)
    wanted_calls = wanted.filter(None if viewer.agent == ANY_AGENT else viewer.agent)
    cursors = Cursors(parts.jwt_secret)
    before = None
    if wanted.cursor is not None:
        try:
            before = cursors.read(wanted.cursor, wanted_calls)
        except CursorError as error:
            raise HTTPException(400, str(error)) from error
    with told_as_http():
        found = await parts.index.page(wanted_calls, wanted.limit + 1, before)
    shown = found[: wanted.limit]
    return CallPage(
        calls=[CallSummary.of(call) for call in shown],
        next_cursor=cursors.make(shown[-1].place, wanted_calls)
        if len(found) > len(shown)
        else None,
    )


@router.get("/{call_id}", responses=ERRORS)
async def one_call(found: Found) -> CallDetails:
    """A call and its record; of a live call what is known so far.

    By the carrier's id it is the latest call that has it; ``same_carrier_call_id`` names others.
    """
    call, fields = found.call, summary(found.call)
    places: dict[str, Any] = dict.fromkeys(
        ("recording", "carrier_recording", "transcript", "record")
    )
    try:
        with told_as_http():
            record = await found.lookup.record(call)
    except HTTPException as error:
        cause = error.__cause__
        # What is known of a call is shown also where its record is elsewhere, nowhere or damaged.
        if not (isinstance(cause, StorageError) and cause.code in _RECORD_AWAY):
            raise
        details = None
    else:
        details = msgspec.to_builtins(record)
        if call.status == "live":
            details |= {"ended_at": None, "end_cause": None}
        sound, words = record.recording.file, record.transcript
        places = {
            "recording": sound.url if sound else None,
            "carrier_recording": _carriers(record.carrier_recording),
            "transcript": words.url if words else None,
            "record": _beside(words, call.record_key),
        }
    return CallDetails(
        **fields,
        **places,
        state=found.state,
        details=details,
        same_carrier_call_id=[other.session_id for other in found.others],
    )


@router.get("/{call_id}/status", responses=ERRORS)
async def call_status(found: Found) -> CallStatus:
    """How far a call has come: quick, and needs no store."""
    call, session = found.call, found.session
    if session is not None:
        seconds: float | None = round(session.seconds(), 1)
    else:
        seconds = summary(call)["duration_seconds"]
    return CallStatus(
        call_id=call.session_id,
        carrier_call_id=call.carrier_call_id,
        agent_id=call.agent_id,
        status=call.status,
        state=found.state,
        end_cause=call.end_cause,
        seconds=seconds,
    )


def _beside(file: StoredFile | None, key: str | None) -> str | None:
    """The place of another object of the store that a file is in."""
    return f"{file.url.removesuffix(file.key)}{key}" if file and key else None


def _carriers(theirs: CarrierRecording | None) -> CarrierSound | None:
    if theirs is None:
        return None
    url = theirs.file.url if theirs.file else None
    return CarrierSound(state=theirs.state, url=url, detail=theirs.detail)


def _number(text: str | None) -> str | None:
    """As the index has it; a ``+`` that was not written as %2B has become a space."""
    if text is None:
        return None
    return indexed_number(f"+{text[1:]}" if text.startswith(" ") else text)


def _ms(instant: datetime | None) -> int | None:
    return None if instant is None else round(instant.timestamp() * 1000)
