"""``POST /api/v1/calls/{call_id}/hangup``, ``/say`` and ``/language``: what may be done to a call
that is live."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, StringConstraints

from api.call_models import Done
from api.found_calls import ERRORS, Found, FoundCall
from config.errors import ConfigError
from config.languages import resolve_language
from sessions.session import CallSession

router = APIRouter(prefix="/api/v1/calls", tags=["calls"])

MAX_SAY_CHARS = 1000
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: ERRORS[401],
    404: ERRORS[404],
    409: {"description": "The call is not live, or not on this server"},
}


class Say(BaseModel):
    """What the agent is to say."""

    model_config = {"extra": "forbid"}

    text: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SAY_CHARS)
    ] = Field(description="In the agent's language; spoken as it is, after what is being said.")


class WantedLanguage(BaseModel):
    """What a call is to go on in: a code or a name."""

    language: str = Field(max_length=64)


class LanguageAnswer(BaseModel):
    """``ready``: from the end of what is being said; ``already``: it is spoken as it is."""

    language: str
    state: Literal["ready", "already"]


@router.post("/{call_id}/hangup", status_code=202, responses=_ERRORS)
async def hang_up(found: Found) -> Done:
    """End a live call; what the agent is saying is still heard. Its end cause is agent_hangup."""
    session = _live(found)
    session.notice("hangup_requested", "asked for at /api/v1/calls")
    session.end("agent_hangup")
    return Done(call_id=session.session_id, done="hangup")


@router.post("/{call_id}/say", status_code=202, responses=_ERRORS)
async def say(found: Found, wanted: Say) -> Done:
    """Have the agent of a live call say something."""
    session = _live(found)
    await session.say(wanted.text)
    return Done(call_id=session.session_id, done="say")


@router.post(
    "/{call_id}/language",
    status_code=202,
    responses={**_ERRORS, 503: {"description": "Nobody who serves it can be reached"}},
)
async def change_language(found: Found, wanted: WantedLanguage) -> LanguageAnswer:
    """Have the agent of a live call go on in another of its languages, after what is being said.

    409 where the agent does not speak it, 503 where nobody who does can be reached now; the
    call stays as it is then.
    """
    session = _live(found)
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


def _live(found: FoundCall) -> CallSession:
    session = found.session
    if session is None or session.state != "running":
        raise HTTPException(409, f"the call is {found.state}")
    return session
