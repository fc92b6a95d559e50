"""VoiceERA's backend, as far as the voice server asks it.

Wire facts: VoiceERA's FastAPI backend, June 2026: ``X-API-Key`` of services, errors as
``{"detail": …}``, FastAPI's 422 for what does not fit.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, NoReturn

from aiohttp import web

from simulators.backend.calls import (
    CALL_RECORDING,
    MEETING,
    MEETING_END,
    Calls,
    Field,
    problems_of,
)
from simulators.base import Handler, Simulator, json_response, names, refuse
from simulators.connection import Connection

#: What the backend calls the keys that it keeps.
MODELS: Final = names(
    "OpenAI Deepgram Cartesia ElevenLabs Sarvam Anthropic Grok Bhashini "
    "VobizAuthId VobizAuthToken PlivoAuthId PlivoAuthToken"
)
_CREATED: Final = "2026-06-01T00:00:00"
_DETAILS: Final = {
    400: "Bad request",
    401: "Invalid API key",
    404: "Not found",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}


class BackendSimulator(Simulator):
    """VoiceERA's backend on 127.0.0.1.

    Args:
        keys: Vendors' keys by organisation and model, such as ``{"org-1": {"OpenAI": "…"}}``.
        agents: The backend's answer by agent id; its ``phone_number`` finds one too.
        custom_llms: Language models by organisation and id, each with ``base_url``, ``model``
            and, where it wants one, ``api_key``.
        options: As every simulator has them. ``api_key`` is what ``X-API-Key`` must be.

    Attributes:
        asked: Organisation and model, or id of a custom LLM, of every valid request in order.
        agents_asked: The id or number of every valid request for an agent.
        calls: Meetings, call recordings, and what was told of them in order.
    """

    vendor: ClassVar[str] = "backend"

    def __init__(
        self,
        *,
        keys: Mapping[str, Mapping[str, str]] | None = None,
        custom_llms: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
        agents: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.keys = {org: dict(found) for org, found in (keys or {}).items()}
        self.custom_llms = {org: dict(found) for org, found in (custom_llms or {}).items()}
        self.agents = dict(agents or {})
        self.asked: list[tuple[str, str]] = []
        self.agents_asked: list[str] = []
        self.calls = Calls()

    def routes(self) -> Iterable[web.RouteDef]:
        """The routes that the voice server calls, and health."""
        return [
            self.page("GET", "/health", self._health),
            self._post("/integrations/bot/get-api-key", self._key),
            self._post("/custom-llm-integrations/bot/get-config", self._custom_llm),
            self._door("GET", "/agents/config/id/{agent_id}", self._agent_by_id),
            self._door("GET", "/agents/by-phone/{number}", self._agent_by_number),
            self._post("/meetings", self._create_meeting),
            self._door("PATCH", "/meetings/{meeting_id}", self._end_meeting),
            self._post("/call-recordings", self._call_recording),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as FastAPI words it."""
        detail = _DETAILS.get(status, "Error")
        return json_response({"detail": detail}, status=status, headers=headers)

    # -- doors -------------------------------------------------------------------------

    def _post(self, path: str, handler: Handler) -> web.RouteDef:
        return self._door("POST", path, handler)

    def _door(self, method: str, path: str, handler: Handler) -> web.RouteDef:
        return self.door(method, f"/api/v1{path}", handler)

    async def _health(self, _request: web.Request, _connection: Connection) -> web.Response:
        return json_response({"status": "healthy", "database": "connected"})

    async def _key(self, _request: web.Request, connection: Connection) -> web.Response:
        self._authenticate(connection)
        org_id, model = self._fields(connection, "org_id", "model")
        if model not in MODELS:
            self.violate(f"request {connection.index}: there is no model {model!r}")
        found = self.keys.get(org_id, {}).get(model)
        if found is None:
            return await self._answer(connection, None, "Integration not found")
        body = {"org_id": org_id, "model": model, "api_key": found}
        stamps = {"created_at": _CREATED, "updated_at": _CREATED}
        return await self._answer(connection, body | stamps)

    async def _custom_llm(self, _request: web.Request, connection: Connection) -> web.Response:
        self._authenticate(connection)
        org_id, custom_id = self._fields(connection, "org_id", "custom_llm_id")
        found = self.custom_llms.get(org_id, {}).get(custom_id)
        if found is None:
            return await self._answer(connection, None, "Custom LLM integration not found")
        body = {"id": custom_id, "org_id": org_id, "name": "own", "api_key": "", **found}
        return await self._answer(connection, body)

    async def _agent_by_id(self, request: web.Request, connection: Connection) -> web.Response:
        self._authenticate(connection)
        agent_id = request.match_info["agent_id"]
        self.agents_asked.append(agent_id)
        return await self._answer(connection, self.agents.get(agent_id), "Agent ID not found")

    async def _agent_by_number(self, request: web.Request, connection: Connection) -> web.Response:
        self._authenticate(connection)
        number = request.match_info["number"]
        if not number.startswith("+"):
            self.violate(f"request {connection.index}: {number!r} is not in E.164")
        self.agents_asked.append(number)
        found = (each for each in self.agents.values() if each.get("phone_number") == number)
        return await self._answer(connection, next(found, None), "Agent not found")

    async def _create_meeting(self, _request: web.Request, connection: Connection) -> web.Response:
        body = self._report(connection, MEETING)
        self.calls.meet(body, self._key_of(connection))
        return await self._answer(connection, body, status=201)

    async def _end_meeting(self, request: web.Request, connection: Connection) -> web.Response:
        meeting_id = request.match_info["meeting_id"]
        body = self._report(connection, MEETING_END)
        meeting = self.calls.end(meeting_id, body["end_time_utc"], self._key_of(connection))
        if meeting is None:
            self.violate(f"request {connection.index}: there is no meeting {meeting_id!r}")
        return await self._answer(connection, meeting, "Meeting not found")

    async def _call_recording(self, _request: web.Request, connection: Connection) -> web.Response:
        body = self._report(connection, CALL_RECORDING)
        if body["call_sid"] not in self.calls.meetings:
            self.violate(f"request {connection.index}: a recording of no meeting")
        self.calls.record(body, self._key_of(connection))
        return await self._answer(connection, body)

    async def _answer(
        self,
        connection: Connection,
        body: Mapping[str, Any] | None,
        missing: str = "",
        *,
        status: int = 200,
    ) -> web.Response:
        """The answer, or what the script makes of it."""
        self.changed()
        connection.accepted()
        await connection.before_first()
        if connection.silent:
            await connection.lie_low()
        if connection.behaviour.garbage_frames:
            return web.Response(text='{"api_key":', content_type="application/json")
        if body is None:
            return json_response({"detail": missing}, status=404)
        return json_response({} if connection.behaviour.empty else body, status=status)

    # -- checks ------------------------------------------------------------------------

    def _authenticate(self, connection: Connection) -> None:
        given = connection.received.headers.get("X-API-Key", "")
        if not given or (self.api_key is not None and given != self.api_key):
            self.violate(f"request {connection.index}: no valid X-API-Key")
            detail = "Invalid API key" if given else "Missing API key"
            refuse(json_response({"detail": detail}, status=401))

    def _report(self, connection: Connection, fields: Mapping[str, Field]) -> dict[str, Any]:
        """A report's body, or 422; what the backend would only ignore is a violation."""
        self._authenticate(connection)
        body = self._body(connection)
        for name, problem in problems_of(body, fields):
            self._invalid(connection, ["body", name], problem)
        for name in sorted(set(body) - set(fields)):
            self.violate(f"request {connection.index}: unknown field {name}")
        return body

    def _key_of(self, connection: Connection) -> str:
        """What names this report, whatever number of times it comes."""
        key: str = connection.received.headers.get("Idempotency-Key", "")
        if not key:
            self.violate(f"request {connection.index}: no Idempotency-Key")
        return key

    def _body(self, connection: Connection) -> dict[str, Any]:
        if connection.received.headers.get("Content-Type") != "application/json":
            self.violate(f"request {connection.index}: the body must be application/json")
        try:
            body = connection.received.json()
        except ValueError:
            self._invalid(connection, ["body"], "JSON decode error")
        if not isinstance(body, dict):
            self._invalid(connection, ["body"], "Input should be a valid dictionary")
        return body

    def _fields(self, connection: Connection, *wanted: str) -> tuple[str, str]:
        """The two texts of a body, or 422."""
        body = self._body(connection)
        for name in wanted:
            if not isinstance(body.get(name), str):
                self._invalid(connection, ["body", name], "Input should be a valid string")
        for name in sorted(set(body) - set(wanted)):
            self.violate(f"request {connection.index}: unknown field {name}")
        org_id, subject = (body[name] for name in wanted)
        self.asked.append((org_id, subject))
        self.changed()
        return org_id, subject

    def _invalid(self, connection: Connection, place: list[str], text: str) -> NoReturn:
        self.violate(f"request {connection.index}: {'.'.join(place)}: {text}")
        detail = [{"type": "value_error", "loc": place, "msg": text}]
        refuse(json_response({"detail": detail}, status=422))
