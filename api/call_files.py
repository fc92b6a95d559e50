"""``/api/v1/calls/{call_id}/recording`` and ``/transcript``: what was heard and said."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.found_calls import ERRORS, Found, told_as_http
from api.media_types import preferred
from api.parts import Parts
from api.ranges import RangeError, Span, parse_range
from config.errors import StorageError
from sessions.kept_sound import KeptSound, StoredSound
from sessions.lookup import SoundSource
from sessions.transcript import as_text
from sessions.webvtt import as_vtt

router = APIRouter(prefix="/api/v1/calls", tags=["calls"])

#: How long an address in the store works that a caller is sent to.
LINK_SECONDS: Final = 300
#: Whoever keeps a copy asks each time whether it may still be shown.
_KEPT: Final = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
Form = Literal["json", "text", "vtt"]
_FORMS: Final[Mapping[str, Form]] = {
    "application/json": "json",
    "text/plain": "text",
    "text/vtt": "vtt",
}
_SOUND: Final[dict[int | str, dict[str, Any]]] = {
    **ERRORS,
    200: {"description": "The whole recording", "content": {"audio/wav": {}}},
    206: {"description": "The part that `Range` asks for", "content": {"audio/wav": {}}},
    304: {"description": "Unchanged since `If-None-Match`"},
    410: {"description": "There was one, and it has been deleted"},
    307: {"description": "With `redirect=true`: an address in the store, good for 5 minutes"},
    409: {"description": "Not made yet, or in another server; see `Retry-After`"},
    416: {"description": "A part that there is not, or several parts"},
}
_WORDS: Final[dict[int | str, dict[str, Any]]] = {
    **ERRORS,
    200: {"content": {"application/json": {}, "text/plain": {}, "text/vtt": {}}},
    304: {"description": "Unchanged since `If-None-Match`"},
    410: {"description": "There was one, and it has been deleted"},
    406: {"description": "`Accept` takes none of the three forms"},
    409: {"description": "In another server until it is stored; see `Retry-After`"},
}


class _Stream(StreamingResponse):
    """A recording on its way; let go of however the sending ends."""

    def __init__(
        self, blocks: AsyncGenerator[bytes], status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(blocks, status_code, headers)
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See :class:`starlette.responses.StreamingResponse`."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._blocks.aclose()


@router.head("/{call_id}/recording", include_in_schema=False)
@router.get("/{call_id}/recording", response_class=Response, responses=_SOUND)
async def recording(
    request: Request,
    parts: Parts,
    found: Found,
    redirect: Annotated[
        bool, Query(description="Send to an address in the store, where it offers such.")
    ] = False,
    source: Annotated[
        SoundSource,
        Query(description="Whose recording: this server's, or the carrier's own of the call."),
    ] = "server",
) -> Response:
    """A call's sound: both sides, as it is stored, from wherever it lies.

    Takes `Range` with one part, `If-Range`, `If-None-Match`, and `HEAD`.
    """
    with told_as_http():
        sound = await found.lookup.recording(found.call, source)
    try:
        # A signed address is good for one method, and that is GET.
        if redirect and request.method == "GET" and isinstance(sound, StoredSound):
            link = await _link(parts, sound, _name(found, sound))
            if link is not None:
                await sound.close()
                return RedirectResponse(link, headers={"Cache-Control": "no-store"})
        return await _sound(request, sound, _name(found, sound))
    except BaseException:
        await sound.close()
        raise


@router.head("/{call_id}/transcript", include_in_schema=False)
@router.get("/{call_id}/transcript", response_class=Response, responses=_WORDS)
async def transcript(
    request: Request,
    found: Found,
    form: Annotated[
        Form | None, Query(alias="format", description="json, text or vtt; else as `Accept` says.")
    ] = None,
) -> Response:
    """What was said and heard, or so far: as JSON, text, or subtitles of the recording."""
    wanted = form or preferred(request.headers.get("accept"), _FORMS)
    if wanted is None:
        raise HTTPException(406, f"a transcript is one of {', '.join(_FORMS)}")
    with told_as_http():
        words = await found.lookup.transcript(found.call)
    match wanted:
        case "json":
            body, media_type = msgspec.json.encode(words), "application/json"
        case "text":
            body, media_type = as_text(words).encode(), "text/plain; charset=utf-8"
        case "vtt":
            body, media_type = as_vtt(words).encode(), "text/vtt; charset=utf-8"
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_KEPT, "ETag": etag, "Vary": "Accept"}
    if _has(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


async def _link(parts: Parts, sound: StoredSound, name: str) -> str | None:
    """An address in the store; None where it offers none."""
    try:
        return await parts.storage.link(
            sound.kind, sound.key, seconds=LINK_SECONDS, download_name=name
        )
    except StorageError as error:
        if error.code == "storage_not_offered":
            return None
        with told_as_http():
            raise


async def _sound(request: Request, sound: KeptSound, name: str) -> Response:
    etag, size = f'"{sound.sha256}"', sound.size_bytes
    headers = {
        **_KEPT,
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": sound.content_type,
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if _has(request.headers.get("if-none-match"), etag):
        await sound.close()
        return Response(status_code=304, headers={n: headers[n] for n in ("ETag", *_KEPT)})
    span = None
    # Ranges are of GET alone (RFC 9110, section 14.2), and of the version that If-Range names.
    if request.method == "GET" and request.headers.get("if-range", etag) == etag:
        try:
            span = parse_range(request.headers.get("range"), size)
        except RangeError as error:
            raise HTTPException(416, str(error), {"Content-Range": f"bytes */{size}"}) from error
    status, part = (206, span) if span else (200, Span(0, size))
    if span is not None:
        headers["Content-Range"] = span.content_range(size)
    headers["Content-Length"] = str(part.length)
    if request.method == "HEAD" or part.length == 0:
        await sound.close()
        return Response(status_code=status, headers=headers)
    blocks = sound.blocks(part.start, part.length)
    with told_as_http():
        # Before the answer begins, so that a store that is away can still be told of.
        first = await anext(blocks, b"")
    return _Stream(_sending(sound, first, blocks), status, headers)


async def _sending(
    sound: KeptSound, first: bytes, rest: AsyncIterator[bytes]
) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for block in rest:
            yield block
    finally:
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()
        await sound.close()


def _name(found: Found, sound: KeptSound) -> str:
    return f"{found.call.session_id}{sound.suffix}"


def _has(header: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` names the tag; compared weakly, as RFC 9110, 13.1.2 says."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or "*" in tags
