"""Who may look at calls: in development whoever sits at this machine, else bearers of a token."""

from typing import Annotated

from fastapi import Depends, HTTPException
from starlette.requests import HTTPConnection

from api.origin import is_allowed_origin
from api.parts import Parts, ServerParts
from config.errors import AdmissionError
from config.settings import is_loopback
from sessions.tokens import ANY_AGENT, OPERATOR_AUDIENCE, Client, verify_token


def is_local_development(connection: HTTPConnection, parts: ServerParts) -> bool:
    """Whether this is a development server, asked by its own machine under a loopback name.

    The Host must be loopback too, or a page of another site could come in under its own name
    (DNS rebinding). A server with a public address is no development server in this sense:
    what its proxy passes on comes from loopback as well.
    """
    settings = parts.settings
    public = settings.server.public_url is not None
    return (
        settings.environment == "development"
        and not public
        and is_loopback(connection.url.hostname or "")
        and is_allowed_origin(connection, settings.server)
    )


def call_viewer(connection: HTTPConnection, parts: ServerParts) -> Client | None:
    """Who asks to read what was said and who called; None for whoever may not.

    A token that names one agent is good for that agent's calls only.
    """
    if is_local_development(connection, parts):
        return Client(subject="development", agent=ANY_AGENT)
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        return verify_token(parts.jwt_secret, token, audience=OPERATOR_AUDIENCE)
    except AdmissionError:
        return None


def may_watch(viewer: Client, call_id: str, parts: ServerParts) -> bool:
    """Whether a call's events may be shown; of a call to come it is not known whose it is."""
    session = parts.manager.find(call_id)
    return viewer.may_talk_to(session.agent.agent_id) if session else viewer.agent == ANY_AGENT


def _require_operator(connection: HTTPConnection, parts: Parts) -> Client:
    viewer = call_viewer(connection, parts)
    if viewer is None:
        raise HTTPException(
            401,
            "a token is needed: main.py token --for calls",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return viewer


Operator = Annotated[Client, Depends(_require_operator)]
