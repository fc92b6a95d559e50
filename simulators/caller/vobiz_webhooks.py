"""What Vobiz asks of and tells an application over HTTP: answer, hang-up, stream status."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from simulators.caller.vobiz_answer import ANSWER_URL_FAILED, AnswerRejected, StreamOrder

IST: Final = timezone(timedelta(hours=5, minutes=30))
_WEBHOOK_SECONDS: Final = 10.0
_MOST_QUEUED: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """Who calls whom; the part of every webhook that stays the same."""

    call_id: str
    from_number: str
    to_number: str
    direction: Literal["inbound", "outbound"]
    parent_auth_id: str
    session_start: datetime

    def common(self) -> dict[str, str]:
        """Fields of the answer and hang-up webhooks alike (UTC with microseconds)."""
        start = self.session_start.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        return {
            "CallUUID": self.call_id,
            "RequestUUID": self.call_id,
            "ALegUUID": self.call_id,
            "ALegRequestUUID": self.call_id,
            "From": self.from_number,
            "To": self.to_number,
            "Direction": self.direction,
            "SessionStart": start,
            "STIRVerification": "Not Applicable",
            "STIRAttestation": "",
            "BillRate": "0.0065",
            "ParentAuthID": self.parent_auth_id,
        }

    def answer_form(self) -> dict[str, str]:
        """``StartApp``: sent while an incoming call still rings."""
        status = "ringing" if self.direction == "inbound" else "in-progress"
        return self.common() | {
            "Event": "StartApp",
            "CallStatus": status,
            "CountryCode": "IN",
            "RouteType": "Domestic_Anchored",
        }

    def hangup_form(
        self, *, answered: datetime | None, ended: datetime, cause: "HangupCause"
    ) -> dict[str, str]:
        """``Hangup``: times are local to India and carry no zone."""
        seconds = max(0, round((ended - answered).total_seconds())) if answered else 0
        return self.common() | {
            "Event": "Hangup",
            "CallStatus": "completed" if answered else "failed",
            "StartTime": _local(self.session_start),
            "AnswerTime": _local(answered) if answered else "",
            "EndTime": _local(ended),
            "Duration": str(seconds),
            "BillDuration": str(-(-seconds // 60) * 60),
            "HangupCause": "NORMAL_CLEARING",
            "HangupCauseCode": str(cause.code),
            "HangupCauseName": cause.name,
            "HangupSource": cause.source,
            "TotalCost": "0",
        }

    def status_form(
        self, event: str, stream_id: str, order: StreamOrder, extra: dict[str, str]
    ) -> dict[str, str]:
        """A stream status callback."""
        return {
            "From": self.from_number,
            "To": self.to_number,
            "CallUUID": self.call_id,
            "StreamID": stream_id,
            "ParentAuthID": self.parent_auth_id,
            "Event": event,
            "Timestamp": _local(datetime.now(UTC)),
            "Error": "",
            "status_callback_url": order.status_url or "",
            "status_callback_method": order.status_method,
        } | extra


@dataclass(frozen=True, slots=True)
class HangupCause:
    """Why the platform says a call ended (section 2.2 of its protocol notes)."""

    code: int
    name: str
    source: str


CALLER_HUNG_UP: Final = HangupCause(4000, "Normal Hangup", "Caller")
END_OF_XML: Final = HangupCause(4010, "End Of XML Instructions", "Vobiz")


def signature_headers(url: str, auth_token: str, nonce: str | None = None) -> dict[str, str]:
    """V2 and V3 signatures over the URL without its query, and a nonce of 20 digits."""
    nonce = nonce or "".join(secrets.choice(string.digits) for _ in range(20))
    base_url = urlunsplit(urlsplit(url)._replace(query="", fragment=""))
    headers: dict[str, str] = {}
    for version, message in (("V2", base_url + nonce), ("V3", f"{base_url}.{nonce}")):
        digest = hmac.digest(auth_token.encode(), message.encode(), hashlib.sha256)
        headers[f"X-Vobiz-Signature-{version}"] = base64.b64encode(digest).decode()
        headers[f"X-Vobiz-Signature-{version}-Nonce"] = nonce
    return headers


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What the application said, and how long it took."""

    status: int
    content_type: str
    body: bytes
    took_ms: float


async def send_webhook(
    url: str, method: str, form: dict[str, str], *, auth_token: str | None = None
) -> WebhookAnswer:
    """POST a form, or GET with the same names in the query.

    Raises:
        AnswerRejected: The application cannot be reached within ten seconds.
    """
    headers = {"User-Agent": "Vobiz"}
    if auth_token is not None:
        headers |= signature_headers(url, auth_token)
    timeout = aiohttp.ClientTimeout(total=_WEBHOOK_SECONDS)
    started = time.monotonic()
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.request(
                method,
                url,
                params=form if method == "GET" else None,
                data=form if method == "POST" else None,
                allow_redirects=False,
            ) as response,
        ):
            body = await response.read()
            content_type = response.headers.get("Content-Type", "")
            took_ms = (time.monotonic() - started) * 1000
            return WebhookAnswer(response.status, content_type, body, took_ms)
    except (aiohttp.ClientError, TimeoutError) as error:
        detail = str(error) or f"no answer within {_WEBHOOK_SECONDS:g} s"
        raise AnswerRejected(f"{url}: {detail}", code=ANSWER_URL_FAILED) from error


class WebhookQueue:
    """Sends notifications one after another, without holding up the call.

    Args:
        auth_token: Signs them where given.
        failures: Receives a line for each that the application did not take.
    """

    def __init__(self, auth_token: str | None, failures: list[str]) -> None:
        self._auth_token = auth_token
        self._failures = failures
        self._queue: asyncio.Queue[tuple[str, str, dict[str, str]]] = asyncio.Queue(_MOST_QUEUED)
        self._task: asyncio.Task[None] | None = None

    def put(self, url: str, method: str, form: dict[str, str]) -> None:
        """Queue one; a full queue counts as a failure."""
        try:
            self._queue.put_nowait((url, method, form))
        except asyncio.QueueFull:
            self._failures.append(f"{form['Event']}: too many callbacks are waiting")
            return
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def drain(self) -> None:
        """Wait until all are sent."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._queue.empty():
            url, method, form = self._queue.get_nowait()
            try:
                answer = await send_webhook(url, method, form, auth_token=self._auth_token)
            except AnswerRejected as error:
                self._failures.append(f"{form['Event']}: {error}")
                continue
            if answer.status not in (200, 204):
                self._failures.append(f"{form['Event']}: status {answer.status}")


def _local(moment: datetime) -> str:
    return moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")
