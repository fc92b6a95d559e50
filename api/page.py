"""``GET /``: the page to try an agent for a browser, service information for anything else."""

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from api.parts import Parts
from config.settings import is_loopback
from sessions.tokens import issue_token

router = APIRouter()


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
        return FileResponse(parts.web_folder / "index.html")
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
    host = request.url.hostname or ""
    origin = request.headers.get("origin")
    own = origin is None or origin == f"{request.url.scheme}://{request.url.netloc}"
    if parts.settings.environment != "development" or not is_loopback(host) or not own:
        raise HTTPException(404)
    return Token(token=issue_token(parts.jwt_secret, subject="development-page"))
