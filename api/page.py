"""``GET /``: the page to try an agent for a browser, service information for anything else."""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.types import Scope

from api.access import is_local_development
from api.parts import Parts
from sessions.tokens import issue_token

router = APIRouter()

#: Sent with the page and its files: nothing of another host is loaded, no inline script runs,
#: and a browser asks whether a file has changed before it uses the one it keeps. Older Safari
#: does not count WebSockets to the page's own host as ``'self'``.
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class PageFiles(StaticFiles):
    """The page's own files, at ``/static``."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """See :class:`starlette.staticfiles.StaticFiles`; adds ``PAGE_HEADERS``."""
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


class ServiceInfo(BaseModel):
    """What this server is."""

    service: str
    status: str
    version: str
    documentation: str


class Token(BaseModel):
    """A token for a client program."""

    token: str


@router.get("/", response_model=None)
async def root(request: Request, parts: Parts) -> Response | ServiceInfo:
    """A page for a person, JSON for a program."""
    if "text/html" in request.headers.get("accept", ""):
        return FileResponse(parts.web_folder / "index.html", headers=PAGE_HEADERS)
    return ServiceInfo(
        service=request.app.title,
        status="draining" if parts.manager.draining else "running",
        version=request.app.version,
        documentation="/docs",
    )


@router.post("/dev/token", include_in_schema=False)
async def development_token(request: Request, parts: Parts) -> Token:
    """A token for the page at ``/``; there is none in production.

    Only for pages of this very server on loopback: another site's page can neither read the
    answer (no CORS) nor come in under another name (the Host must be loopback).
    """
    if not is_local_development(request, parts):
        raise HTTPException(404)
    return Token(token=issue_token(parts.jwt_secret, subject="development-page"))
