"""Vobiz's doors for recordings: start, stop, look up, and the file itself.

Wire facts: vobiz.md sections 1.1 to 1.5. Strict about casing, the account's headers and the
body's fields; the file is there some looks after the recording has ended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn

from aiohttp import web

from simulators.base import Simulator, json_response, names, new_id, refuse
from simulators.connection import Connection

_START_FIELDS: Final = names(
    "time_limit file_format record_channel_type callback_url callback_method transcription_type "
    "transcription_url"
)
#: What a file of MP3 begins with; no player is meant to play it.
SOUND: Final = b"\xff\xfb\x90\x64" + bytes(range(256)) * 16


@dataclass(slots=True)
class RecordingOfCall:
    """A recording that was begun.

    Attributes:
        body: What was asked for.
        ended: Stopped, or its call is over.
        looks: How often it was asked for since.
    """

    recording_id: str
    call_id: str
    body: dict[str, Any]
    ended: bool = False
    looks: int = 0


class VobizApiSimulator(Simulator):
    """The REST interface of one account, and its media host on the same port.

    Args:
        auth_id: The account.
        looks: So many look-ups of an ended recording find no file yet.
        sound: What its file holds.
        recording_url: Named in place of the true address.
        redirect: Where the file's door sends whoever comes, in place of the file.
        content_type: Of the file.
        options: As every simulator has them; ``api_key`` is the account's token.

    Attributes:
        recordings: All that were begun, in order.
    """

    vendor: ClassVar[str] = "vobiz"
    base_path: ClassVar[str] = "/api/v1"

    def __init__(
        self,
        *,
        auth_id: str = "MA_EXAMPLE",
        looks: int = 1,
        sound: bytes = SOUND,
        recording_url: str | None = None,
        redirect: str | None = None,
        content_type: str = "audio/mpeg",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.auth_id = auth_id
        self.looks = looks
        self.sound = sound
        self.recording_url = recording_url
        self.redirect = redirect
        self.content_type = content_type
        self.recordings: list[RecordingOfCall] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """The doors; whatever else is asked for is noted."""
        account = f"{self.base_path}/Account/{{account}}"
        return [
            self.door("POST", f"{account}/Call/{{call}}/Record/", self._start),
            self.door("DELETE", f"{account}/Call/{{call}}/Record/", self._stop),
            self.door("GET", f"{account}/Recording/{{recording}}/", self._look),
            self.door("GET", "/media/{recording}.mp3", self._file),
            self.door("*", "/{anything:.*}", self._elsewhere),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refusal in Vobiz's shape."""
        body = {"status": "error", "error": {"code": "simulated", "message": "refused"}}
        return json_response(body, status=status, headers=headers)

    def end_call(self, call_id: str) -> None:
        """The call is over, and with it what was recorded of it."""
        for recording in self.recordings:
            if recording.call_id == call_id:
                recording.ended = True

    async def _start(self, request: web.Request, connection: Connection) -> web.Response:
        self._require_account(request, connection)
        body = self._body(connection)
        recording = RecordingOfCall(new_id(), request.match_info["call"], body)
        self.recordings.append(recording)
        self.changed()
        return json_response(
            {
                "api_id": new_id(),
                "message": "recording started",
                "recording_id": recording.recording_id,
                "url": self._url(recording),
            },
            status=202,
        )

    async def _stop(self, request: web.Request, connection: Connection) -> web.Response:
        self._require_account(request, connection)
        self.end_call(request.match_info["call"])
        self.changed()
        return web.Response(status=204)

    async def _look(self, request: web.Request, connection: Connection) -> web.Response:
        self._require_account(request, connection)
        recording = self._ready(request.match_info["recording"])
        if recording is None:
            return self._error(404, "recording not found")
        return json_response(
            {
                "api_id": new_id(),
                "call_uuid": recording.call_id,
                "recording_id": recording.recording_id,
                "recording_url": self.recording_url or self._url(recording),
                "recording_format": "mp3",
                "recording_type": "call",
                "recording_duration_ms": "4000",
                "recording_end_ms": None,
                "rounded_recording_duration": 60,
            }
        )

    async def _file(self, request: web.Request, connection: Connection) -> web.Response:
        if self.redirect is not None:
            return web.Response(status=302, headers={"Location": self.redirect})
        self._require_keys(connection)
        wanted = request.match_info["recording"]
        if not any(each.recording_id == wanted and each.ended for each in self.recordings):
            return self._error(404, "no such file")
        return web.Response(body=self.sound, content_type=self.content_type)

    async def _elsewhere(self, request: web.Request, connection: Connection) -> web.Response:
        """Wrong casing and a lacking slash look like wrong credentials."""
        self.violate(f"request {connection.index}: {request.method} {request.path}")
        is_cased = request.path.startswith(f"{self.base_path}/Account/")
        return self._error(401 if not is_cased else 404, "authentication failed")

    def _ready(self, recording_id: str) -> RecordingOfCall | None:
        for recording in self.recordings:
            if recording.recording_id == recording_id and recording.ended:
                recording.looks += 1
                self.changed()
                return recording if recording.looks > self.looks else None
        return None

    def _url(self, recording: RecordingOfCall) -> str:
        return f"http://127.0.0.1:{self.port}/media/{recording.recording_id}.mp3"

    def _require_account(self, request: web.Request, connection: Connection) -> None:
        if request.match_info["account"] != self.auth_id:
            self._refuse(connection, 401, "another account in the path")
        self._require_keys(connection)

    def _require_keys(self, connection: Connection) -> None:
        headers = connection.received.headers
        token = headers.get("X-Auth-Token", "")
        if headers.get("X-Auth-ID") != self.auth_id:
            self._refuse(connection, 401, "no X-Auth-ID of this account")
        if not token or (self.api_key is not None and token != self.api_key):
            self._refuse(connection, 401, "no valid X-Auth-Token")

    def _body(self, connection: Connection) -> dict[str, Any]:
        received = connection.received
        if received.headers.get("Content-Type") != "application/json":
            self._refuse(connection, 400, "the body must be application/json")
        try:
            body = received.json()
        except ValueError as error:
            self._refuse(connection, 400, f"no JSON: {error}")
        if not isinstance(body, dict) or not set(body) <= _START_FIELDS:
            self._refuse(connection, 400, f"fields {body!r}")
        limit = body.get("time_limit", 60)
        if not isinstance(limit, int) or limit < 1:
            self._refuse(connection, 400, f"time_limit {limit!r}")
        if body.get("file_format", "mp3") not in ("mp3", "wav"):
            self._refuse(connection, 400, "file_format")
        if body.get("record_channel_type", "mono") not in ("mono", "stereo"):
            self._refuse(connection, 400, "record_channel_type")
        return body

    def _error(self, status: int, text: str) -> web.Response:
        return json_response({"error": text, "details": {}}, status=status)

    def _refuse(self, connection: Connection, status: int, text: str) -> NoReturn:
        self.violate(f"request {connection.index}: {text}")
        refuse(self._error(status, text))
