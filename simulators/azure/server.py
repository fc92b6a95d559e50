"""Azure AI Speech's doors: the sockets for recognition and synthesis."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final

from aiohttp import WSMsgType, web

from simulators.azure.messages import Message, WrongMessage, parse
from simulators.azure.recognition import Recognition
from simulators.azure.synthesis import Spoken, Synthesis
from simulators.base import Simulator, json_response, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection

#: The SDK's paths for an address of a resource's own, and those of a region's host.
_STT_PATHS: Final = (
    "/stt/speech/universal/v2",
    "/speech/recognition/conversation/cognitiveservices/v1",
)
_TTS_PATHS: Final = ("/tts/cognitiveservices/websocket/v1", "/cognitiveservices/websocket/v1")
_PROTOCOL: Final = "USP"


class AzureSimulator(Simulator):
    """Azure AI Speech.

    Args:
        utterances: What is heard in the speech that comes, in turn and again from the first.
        speed: Multiple of real time at which synthesised sound comes.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.

    Attributes:
        spoken: Every text, with the tone that it is heard by.
    """

    vendor: ClassVar[str] = "azure"

    def __init__(
        self,
        *,
        utterances: Sequence[str] = ("हाँ जी।",),
        speed: float = 6.0,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.utterances = utterances
        self.speed = speed
        self.spoken: list[Spoken] = []
        self._heard = 0

    def routes(self) -> Iterable[web.RouteDef]:
        """The sockets."""
        return [
            *(self.door("GET", path, self._recognise) for path in _STT_PATHS),
            *(self.door("GET", path, self._synthesise) for path in _TTS_PATHS),
        ]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refusal."""
        body = {"error": {"code": str(status), "message": "simulated"}}
        return json_response(body, status=status, headers=headers)

    async def _recognise(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        language = dict(connection.received.query).get("language", "")
        recognition = Recognition(connection, language, self._next_text)
        return await self._serve(request, connection, recognition.take)

    async def _synthesise(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        synthesis = Synthesis(connection, self.speed, self.spoken)
        try:
            return await self._serve(request, connection, synthesis.take)
        finally:
            await synthesis.stop()

    def _next_text(self) -> str:
        self._heard += 1
        return self.utterances[(self._heard - 1) % len(self.utterances)]

    async def _serve(
        self,
        request: web.Request,
        connection: Connection,
        take: Callable[[Message], Awaitable[None]],
    ) -> web.StreamResponse:
        headers = connection.received.headers
        key = headers.get("Ocp-Apim-Subscription-Key", "")
        if not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"connection {connection.index}: no valid key")
            refuse(self.error_response(401, {}))
        if headers.get("Sec-WebSocket-Protocol") != _PROTOCOL:
            self.violate(f"connection {connection.index}: not the protocol {_PROTOCOL}")
            refuse(self.error_response(400, {}))
        websocket = await connection.upgrade(request, protocols=(_PROTOCOL,))
        while not websocket.closed:
            frame = await websocket.receive()
            if connection.is_deaf:
                await connection.lie_low()
            if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            try:
                message = parse(frame.data)
                if frame.type is WSMsgType.TEXT:
                    connection.read(frame.data)
                await take(message)
            except WrongMessage as error:
                self.violate(f"connection {connection.index}: {error}")
                await connection.close(1007, str(error))
        return websocket
