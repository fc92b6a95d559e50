"""An address that is told of calls, and believes nothing that is not signed.

Wire facts: docs/operations.md, "Telling others of calls".
"""

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, NoReturn
from uuid import UUID

from aiohttp import web

from simulators.base import Simulator, json_response, refuse
from simulators.connection import Connection

TOLERANCE_SECONDS: Final = 300.0
_SIGNATURE: Final = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
#: What ``data`` of each kind of event must hold beside what all have.
_DATA: Final[Mapping[str, tuple[str, ...]]] = {
    "call.started": (),
    "call.ended": ("ended_at", "end_cause", "duration_seconds"),
    "recording.ready": ("ended_at", "recording"),
    "transcript.ready": ("ended_at", "transcript", "record"),
}
_CALL: Final = (
    "call_id",
    "carrier_call_id",
    "agent_id",
    "agent_name",
    "direction",
    "from_number",
    "to_number",
    "started_at",
    "labels",
)


class WebhookSimulator(Simulator):
    """A receiver on 127.0.0.1.

    Args:
        secret: What requests must be signed with.
        options: As every simulator has them.

    Attributes:
        events: Those that were taken, in order, repetitions included.
    """

    vendor: ClassVar[str] = "webhook"
    base_path: ClassVar[str] = "/calls"

    def __init__(self, *, secret: str = "webhook-secret-of-tests", **options: Any) -> None:
        super().__init__(**options)
        self.secret = secret
        self.events: list[dict[str, Any]] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """One door."""
        return [self.door("POST", self.base_path, self._event)]

    def told(self, call_id: str) -> list[str]:
        """The types of a call's events in the order they were taken, by our id or the carrier's."""
        return [
            event["type"]
            for event in self.events
            if call_id in (event["data"]["call_id"], event["data"]["carrier_call_id"])
        ]

    async def _event(self, _request: web.Request, connection: Connection) -> web.Response:
        self._require_signature(connection)
        event = self._read(connection)
        self.events.append(event)
        connection.accepted()
        self.changed()
        await connection.before_first()
        if connection.silent:
            await connection.lie_low()
        return web.Response(status=204)

    def _require_signature(self, connection: Connection) -> None:
        received = connection.received
        match = _SIGNATURE.fullmatch(received.headers.get("X-Signature", ""))
        if match is None:
            self._refuse(connection, 401, "no valid X-Signature")
        signed = match[1].encode() + b"." + received.body
        digest = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(digest, match[2]):
            self._refuse(connection, 401, "the signature is not ours")
        if abs(time.time() - int(match[1])) > TOLERANCE_SECONDS:
            self._refuse(connection, 401, "the request is old")

    def _read(self, connection: Connection) -> dict[str, Any]:
        received = connection.received
        if received.headers.get("Content-Type") != "application/json":
            self._refuse(connection, 415, "the body must be application/json")
        try:
            event = received.json()
            problem = _problem(event)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._refuse(connection, 422, f"no event: {error!r}")
        if problem:
            self._refuse(connection, 422, problem)
        if received.headers.get("Idempotency-Key") != event["id"]:
            self._refuse(connection, 422, "the Idempotency-Key is not the event's id")
        found: dict[str, Any] = event
        return found

    def _refuse(self, connection: Connection, status: int, text: str) -> NoReturn:
        self.violate(f"request {connection.index}: {text}")
        refuse(json_response({"detail": text}, status=status))


def _problem(event: dict[str, Any]) -> str:
    """What is wrong with an event; nothing where all is right."""
    if set(event) != {"id", "type", "time", "data"}:
        return f"fields {sorted(event)}"
    UUID(event["id"])
    for text in (event["time"], event["data"]["started_at"]):
        if datetime.fromisoformat(text).utcoffset() is None:
            return f"{text!r} has no offset"
    wanted = (*_CALL, *_DATA[event["type"]])
    missing = [name for name in wanted if name not in event["data"]]
    return f"data lacks {missing}" if missing else ""
