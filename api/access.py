"""Who may look at calls: in development whoever sits at this machine, else bearers of a token."""

from typing import Annotated

from fastapi import Depends, HTTPException
from starlette.requests import HTTPConnection

from api.origin import is_allowed_origin
from api.parts import Parts, ServerParts
from config.errors import AdmissionError
from config.settings import is_loopback
from sessions.tokens import OPERATOR_AUDIENCE, verify_token


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


def may_see_calls(connection: HTTPConnection, parts: ServerParts) -> bool:
    """Whether a request may read what was said and who called."""
    if is_local_development(connection, parts):
        return True
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    try:
        verify_token(parts.jwt_secret, token, audience=OPERATOR_AUDIENCE)
    except AdmissionError:
        return False
    return True


def _require_operator(connection: HTTPConnection, parts: Parts) -> None:
    if not may_see_calls(connection, parts):
        raise HTTPException(401, "a token is needed: main.py token --for calls")


Operator = Annotated[None, Depends(_require_operator)]
