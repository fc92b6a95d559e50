"""Bhashini: the streaming recogniser and the ULCA pipeline's compute door."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from aiohttp import WSMsgType, web

from simulators import tone
from simulators.base import Simulator, json_response, new_id, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.bhashini.speech import Heard, Texts, choose
from simulators.bhashini.stream import Stream, WrongStream, message, transcript
from simulators.bhashini.tasks import (
    Spoken,
    WrongTask,
    asr_answer,
    language_of,
    samples_of,
    spoken_of,
    task_of,
    tts_answer,
)
from simulators.connection import Connection
from simulators.energy import loudness

_FULL_SCALE = 32768


class BhashiniSimulator(Simulator):
    """``/ws/v1/asr/stream`` and ``/services/inference/pipeline``.

    Args:
        texts: What is recognised.
        interim_ms: Speech between two interim texts.
        final_ms: Time from ``end`` to the final text.
        sends_final: Whether a final text comes at all.
        latency_ms: Time that a task of the pipeline takes.
        quiet_below: Mean sample size, 0 to 1, below which audio is silence and its text empty.
        voice: How words sound; without it, every text is a tone.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.

    Attributes:
        heard: What was recognised, streamed or not, in order.
        spoken: What was spoken, in order.
    """

    vendor: ClassVar[str] = "bhashini"

    def __init__(
        self,
        *,
        texts: Texts = ("मुझे मदद चाहिए",),
        interim_ms: float = 200.0,
        final_ms: float = 0.0,
        sends_final: bool = True,
        latency_ms: float = 0.0,
        quiet_below: float = 0.005,
        voice: tone.Voice | None = None,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.texts = texts
        self.interim_ms = interim_ms
        self.final_ms = final_ms
        self.sends_final = sends_final
        self.latency_ms = latency_ms
        self.quiet_below = quiet_below
        self.voice = voice
        self.heard: list[Heard] = []
        self.spoken: list[Spoken] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """The two doors."""
        return [
            self.door("GET", "/ws/v1/asr/stream", self._serve_stream),
            self.door("POST", "/services/inference/pipeline", self._compute),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """An error as the platform words it."""
        detail: Any = {401: "Not authenticated", 404: "Invalid Service Id"}.get(
            status, {"kind": "DHRUVA-101", "message": "could not reach the model"}
        )
        return json_response({"detail": detail}, status=status, headers=headers)

    # -- streaming ---------------------------------------------------------------------

    async def _serve_stream(
        self, request: web.Request, connection: Connection
    ) -> web.StreamResponse:
        self._authenticate(connection, dict(connection.received.query).get("api_key", ""))
        websocket = await connection.upgrade(request)
        stream = Stream(connection)
        try:
            await self._listen(websocket, connection, stream)
        except WrongStream as error:
            self.violate(f"connection {connection.index}: {error}")
            await connection.say(message("error", message=str(error)))
            await connection.close(1000)
        return websocket

    async def _listen(
        self, websocket: web.WebSocketResponse, connection: Connection, stream: Stream
    ) -> None:
        interims = 0
        async for received in websocket:
            if received.type is WSMsgType.BINARY:
                if not stream.service_id:
                    raise WrongStream("INVALID_START")
                stream.hear(received.data)
                if connection.due_error():
                    await connection.say(message("error", message="INTERNAL_ERROR"))
                    await connection.close(1011)
                    return
                if stream.duration_ms >= (interims + 1) * self.interim_ms:
                    interims += 1
                    await self._say_interim(connection, stream, interims)
                continue
            connection.read(received.data)
            if not stream.service_id:
                stream.start(received.data)
                await connection.say(message("ready", sessionId=new_id()))
            elif received.data == '{"type":"end"}':
                await self._finish(connection, stream)
                return
            else:
                raise WrongStream("INVALID_MESSAGE")

    async def _say_interim(self, connection: Connection, stream: Stream, count: int) -> None:
        words = self._text(connection, self._described(stream)).split()
        if words:
            text = " ".join(words[: min(count, len(words))])
            await connection.say(transcript(text, is_final=False))

    async def _finish(self, connection: Connection, stream: Stream) -> None:
        """Say what was heard, if anything is to be said, and wait for the client to leave."""
        heard = self._described(stream)
        self.heard.append(heard)
        self.changed()
        if self.final_ms:
            await asyncio.sleep(self.final_ms / 1000)
        if not self.sends_final or connection.silent:
            await connection.lie_low()
        await connection.say(transcript(self._text(connection, heard), is_final=True))
        await connection.close(1000)

    def _described(self, stream: Stream) -> Heard:
        return Heard(
            len(self.heard),
            stream.language,
            stream.service_id,
            stream.duration_ms,
            stream.loudness,
        )

    def _text(self, connection: Connection, heard: Heard) -> str:
        if connection.behaviour.empty or heard.loudness < self.quiet_below:
            return ""
        return choose(self.texts, heard)

    # -- the pipeline ------------------------------------------------------------------

    async def _compute(self, _request: web.Request, connection: Connection) -> web.Response:
        self._authenticate(connection, connection.received.headers.get("Authorization", ""))
        behaviour = connection.behaviour
        try:
            answer = self._answer(connection, connection.received.json())
        except WrongTask as wrong:
            self.violate(f"request {connection.index}: {wrong}")
            refuse(json_response({"detail": wrong.detail}, status=wrong.status))
        except ValueError as error:
            self.violate(f"request {connection.index}: {error}")
            refuse(json_response({"detail": "JSON decode error"}, status=422))
        connection.accepted()
        wait_ms = self.latency_ms + behaviour.first_result_delay_ms
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if connection.silent:
            await connection.lie_low()
        if connection.due_error():
            return self.error_response(500, {})
        if behaviour.garbage_frames:
            return web.Response(text='{"pipelineResponse":', content_type="application/json")
        return json_response(answer)

    def _answer(self, connection: Connection, body: Any) -> dict[str, Any]:
        task = task_of(body)
        if task is None:
            self.violate(f"request {connection.index}: not a valid chain")
            return {"pipelineResponse": []}
        kind, config, data = task
        behaviour = connection.behaviour
        if kind == "tts":
            spoken = spoken_of(config, data, len(self.spoken))
            self.spoken.append(spoken)
            self.changed()
            rate_hz = behaviour.audio_rate_hz or spoken.rate_hz
            return tts_answer(
                spoken,
                rate_hz,
                voice=self.voice,
                odd=behaviour.odd_frames,
                empty=behaviour.empty,
            )
        pcm, rate_hz = samples_of(config, data)
        connection.hear(pcm)
        heard = Heard(
            len(self.heard),
            language_of(config),
            str(config["serviceId"]),
            len(pcm) / 2 / rate_hz * 1000,
            loudness(pcm) / _FULL_SCALE,
        )
        self.heard.append(heard)
        self.changed()
        return asr_answer(self._text(connection, heard))

    def _authenticate(self, connection: Connection, key: str) -> None:
        if not key or key.startswith("Bearer") or self.api_key not in (None, key):
            self._unauthorised(connection)

    def _unauthorised(self, connection: Connection) -> NoReturn:
        self.violate(f"request {connection.index}: no key, or a wrong one")
        refuse(self.error_response(401, {}))
