"""Tells any address of calls: signed JSON over https, to nobody but who was meant.

    POST https://example.in/calls
    X-Signature: t=1793620800,v1=5257a869…
    {"id": "…", "type": "call.ended", "time": "2026-11-01T06:31:00.000+00:00", "data": {…}}

``id`` is the same for every try and for a report made anew after a crash: a receiver that has
seen it has nothing to do. Any 2xx is a yes; redirects are not followed.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from socket import AF_UNSPEC, AddressFamily
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from config.webhooks import WebhookEvent, WebhookSettings, is_loopback_name, is_public
from services.unread_answers import leave_unread
from sessions.keeper import StoredCall
from sessions.outbox.courier import DeliveryError
from sessions.outbox.receiver import Draft
from sessions.outbox.report import Report
from sessions.outbox.signature import HEADER, signature
from sessions.outbox.told import CallEnd, ToldCall
from sessions.record import CallRecord, StoredFile

#: 403 and 404 are also what something in front of a receiver says while it is being replaced.
_PASSING: Final = (401, 403, 404, 408, 425, 429)
_STEPS: Final[dict[WebhookEvent, str]] = {
    "call.started": "1-started",
    "call.ended": "2-ended",
    "recording.ready": "3-recording",
    "transcript.ready": "4-transcript",
}


class PrivateAddressError(OSError):
    """A name leads into a private network."""


class PublicResolver(AbstractResolver):
    """Finds addresses of names, and gives none that is not anybody's on the internet.

    What is checked is what is connected to: a name that says something else a moment later
    gains nothing.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> list[ResolveResult]:
        """As :meth:`aiohttp.abc.AbstractResolver.resolve`.

        Raises:
            OSError: There is no such name, or one of its addresses is private.
        """
        found = await self._inner.resolve(host, port, family)
        if not is_loopback_name(host) and not all(is_public(each["host"]) for each in found):
            raise PrivateAddressError("its name leads into a private network")
        return found

    async def close(self) -> None:
        """Let go of what was opened."""
        await self._inner.close()


def webhook_session(*, allow_private: bool) -> aiohttp.ClientSession:
    """A session for one endpoint: no cookies, no proxy of the environment, no private network."""
    resolver = None if allow_private else PublicResolver()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=8, resolver=resolver, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


class WebhookReceiver:
    """Tells one endpoint.

    Args:
        settings: Where it is, and what it wants to hear.
        http: Made by :func:`webhook_session`.
        clock: Seconds since 1970.
    """

    kind: Final = "webhook"

    def __init__(
        self,
        settings: WebhookSettings,
        http: aiohttp.ClientSession,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # A path may hold a token of the receiver's: the host alone goes into log lines.
        self.name = f"the webhook of {urlsplit(settings.url).hostname}"
        self.folder = f"webhook-{hashlib.sha256(settings.url.encode()).hexdigest()[:12]}"
        self._settings = settings
        self._http = http
        self._clock = clock

    def started(self, call: ToldCall) -> Sequence[Draft]:
        """``call.started``."""
        return self._drafts(call, "call.started", call.started_at, {})

    def ended(self, call: ToldCall, end: CallEnd) -> Sequence[Draft]:
        """``call.ended``."""
        return self._drafts(call, "call.ended", end.at, _ending(end))

    def stored(self, call: ToldCall, end: CallEnd, stored: StoredCall) -> Sequence[Draft]:
        """``recording.ready``, where there is one, and ``transcript.ready``."""
        record, now = stored.record, _iso(self._clock())
        sound = _recording(record)
        words = {
            **_ending(end),
            "transcript": {
                "json": _file(record.transcript),
                "text": _file(record.transcript_text),
                "content": stored.transcript_text,
            },
            "record": {"url": stored.record_url},
        }
        return [
            *(self._drafts(call, "recording.ready", now, _ending(end) | sound) if sound else ()),
            *self._drafts(call, "transcript.ready", now, words),
        ]

    def busy(self, call: ToldCall) -> Sequence[Draft]:
        """Nothing: such a call never began."""
        return ()

    async def deliver(self, report: Report) -> None:
        """One request.

        Raises:
            DeliveryError: It was not answered with 2xx.
        """
        body = report.body.encode()
        url = self._settings.url
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "indic-voice-server",
            "Idempotency-Key": report.key,
            HEADER: signature(self._settings.secret, body, int(self._clock())),
        }
        try:
            async with self._http.post(
                url,
                data=body,
                headers=headers,
                # A redirect would lead past every check of the address.
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as response:
                _check(response)
                await leave_unread(response)
        except PrivateAddressError as error:
            raise DeliveryError("private_address", str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            inner = error.__cause__
            if isinstance(inner, PrivateAddressError):
                raise DeliveryError("private_address", str(inner)) from None
            message = f"cannot be reached: {type(error).__name__}"
            raise DeliveryError("unreachable", message) from None

    def _drafts(
        self, call: ToldCall, event: WebhookEvent, at: str, more: dict[str, Any]
    ) -> list[Draft]:
        if event not in self._settings.events:
            return []
        event_id = str(uuid5(UUID(call.session_id), event))
        body = {"id": event_id, "type": event, "time": at, "data": _data(call) | more}
        text = msgspec.json.encode(body).decode()
        return [Draft(_STEPS[event], Report(key=event_id, method="POST", path="", body=text))]


def _check(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    final = 400 <= status < 500 and status not in _PASSING
    code = "refused" if status < 500 else "failed"
    after = response.headers.get("Retry-After", "")
    raise DeliveryError(
        code,
        f"answered {status}" + ("; redirects are not followed" if status < 400 else ""),
        final=final,
        after_seconds=float(after) if after.isascii() and after.isdigit() else None,
    )


def _data(call: ToldCall) -> dict[str, Any]:
    return {
        "call_id": call.session_id,
        "carrier_call_id": call.carrier_call_id,
        "agent_id": call.agent_id,
        "agent_name": call.agent_name,
        "direction": call.direction,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "started_at": call.started_at,
        "labels": dict(call.labels),
    }


def _ending(end: CallEnd) -> dict[str, Any]:
    return {
        "ended_at": end.at,
        "end_cause": end.cause,
        "duration_seconds": end.duration_seconds,
    }


def _recording(record: CallRecord) -> dict[str, Any]:
    sound = record.recording
    if sound.file is None:
        return {}
    about = {"duration_ms": sound.duration_ms, "complete": sound.complete}
    return {"recording": {**_file(sound.file), **about}}


def _file(file: StoredFile | None) -> dict[str, Any]:
    if file is None:
        return {}
    return {"url": file.url, "size_bytes": file.size_bytes, "sha256": file.sha256}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
