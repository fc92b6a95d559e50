"""Google Cloud's speech over gRPC, with the messages of Google's own packages.

Those are imported when the simulator starts: they belong to an extra of the installation.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, ClassVar, Final

from aiohttp import web

from simulators import tone
from simulators.base import LOOPBACK, Simulator, names
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection, Received
from simulators.energy import Endpointer, SpeechEnded, SpeechStarted
from simulators.pace import Pace

_LANGUAGES: Final = names(
    "bn-IN en-IN gu-IN hi-IN kn-IN ml-IN mr-IN ne-NP pa-Guru-IN ta-IN te-IN ur-IN"
)
_SILENCE_MS: Final = 500.0
#: A server is not as near as this one: the client has sent what it has when it is refused.
_REFUSAL_SECONDS: Final = 0.05
_MAX_AUDIO_BYTES: Final = 25_600  # of one request
_STATUS_NAMES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class _Refused(Exception):
    """Ends a call with a status."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class _CallTransport(asyncio.Transport):
    """Stands where a connection's socket is: tearing it ends the call."""

    def __init__(self) -> None:
        super().__init__()
        self._task = asyncio.current_task()
        self.is_torn = False

    def abort(self) -> None:
        self.is_torn = True
        if self._task is not None:
            self._task.cancel()

    def is_reading(self) -> bool:
        return False


class GoogleSpeechSimulator(Simulator):
    """Google Cloud Speech-to-Text V2 and Text-to-Speech V1.

    Args:
        utterances: What is heard in the speech that comes, in turn and again from the first.
        speed: Multiple of real time at which synthesised sound comes.
        port: Port, 0 for a free one.
        behaviour: How calls are treated.
        script: How the first calls are treated.

    Attributes:
        configs: The configurations of recognitions and syntheses, in order.
        spoken: Every text, with its tone (Hz) and how long it is (ms).
    """

    vendor: ClassVar[str] = "google"

    def __init__(
        self,
        *,
        utterances: Sequence[str] = ("हाँ जी",),
        speed: float = 6.0,
        port: int = 0,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, behaviour=behaviour, script=script)
        self.utterances = utterances
        self.speed = speed
        self.configs: list[Any] = []
        self.spoken: list[tuple[str, int, float]] = []
        self._heard = 0
        self._server: Any = None

    def routes(self) -> Iterable[web.RouteDef]:
        """None: it speaks no HTTP."""
        return ()

    async def start(self) -> None:
        """Listen."""
        import grpc
        from google.cloud import texttospeech_v1 as speaking
        from google.cloud.speech_v2.types import cloud_speech as hearing

        doors: list[tuple[str, str, Any, Any, Any]] = [
            (
                "google.cloud.speech.v2.Speech",
                "StreamingRecognize",
                self._recognise,
                hearing.StreamingRecognizeRequest,
                hearing.StreamingRecognizeResponse,
            ),
            (
                "google.cloud.texttospeech.v1.TextToSpeech",
                "StreamingSynthesize",
                self._synthesise,
                speaking.StreamingSynthesizeRequest,
                speaking.StreamingSynthesizeResponse,
            ),
        ]
        # By default another process could be given the same port, and half of the calls.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        for service, method, handler, request, response in doors:
            door = grpc.stream_stream_rpc_method_handler(
                self._door(f"/{service}/{method}", handler, response, grpc.StatusCode),
                request_deserializer=request.deserialize,
                response_serializer=response.serialize,
            )
            generic = grpc.method_handlers_generic_handler(service, {method: door})
            self._server.add_generic_rpc_handlers([generic])
        self._port = self._server.add_insecure_port(f"{LOOPBACK}:{self._port}")
        await self._server.start()

    async def stop(self) -> None:
        """End every call and stop listening."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    def _door(self, path: str, handler: Any, response: Any, codes: Any) -> Any:
        async def serve(requests: AsyncIterator[Any], call: Any) -> AsyncIterator[Any]:
            transport = _CallTransport()
            connection = self._enter(path, dict(call.invocation_metadata()), transport)
            try:
                status = connection.behaviour.refuse_status
                if status is not None:
                    await asyncio.sleep(_REFUSAL_SECONDS)
                    raise _Refused(_STATUS_NAMES.get(status, "UNKNOWN"), "simulated")
                connection.accepted()
                async for answer in handler(requests, connection):
                    if connection.silent:
                        await connection.lie_low()
                    yield response(**answer)
            except _Refused as refused:
                await call.abort(getattr(codes, refused.status), str(refused))
            except asyncio.CancelledError:
                if not transport.is_torn:
                    connection.abandoned = True
                    raise
                await call.abort(codes.UNAVAILABLE, "Socket closed")
            finally:
                connection.end()

        return serve

    def _enter(self, path: str, headers: dict[str, str], transport: _CallTransport) -> Connection:
        received = Received("POST", path, (), headers)
        self.requests.append(received)
        index = len(self.connections)
        connection = Connection(
            index=index,
            received=received,
            behaviour=self._behaviours.get(index, self.behaviour),
            transport=transport,
            on_change=self.changed,
            keep_audio=self.keep_audio,
        )
        self.connections.append(connection)
        self.changed()
        return connection

    def _wrong(self, connection: Connection, text: str) -> _Refused:
        self.violate(f"call {connection.index}: {text}")
        return _Refused("INVALID_ARGUMENT", text)

    # -- hearing -----------------------------------------------------------------------

    async def _recognise(
        self, requests: AsyncIterator[Any], connection: Connection
    ) -> AsyncIterator[dict[str, Any]]:
        first = await anext(aiter(requests))
        rate_hz = self._check_recognition(first, connection)
        ear = Endpointer(rate_hz=rate_hz, encoding="linear16", silence_ms=_SILENCE_MS)
        text = ""
        async for request in requests:
            if not request.audio or len(request.audio) > _MAX_AUDIO_BYTES:
                raise self._wrong(connection, f"{len(request.audio)} bytes of audio")
            connection.hear(request.audio)
            if connection.due_error():
                raise _Refused("INTERNAL", "simulated")
            for event in ear.feed(request.audio):
                if isinstance(event, SpeechStarted):
                    text = self.utterances[self._heard % len(self.utterances)]
                    self._heard += 1
                    yield _result(text.split()[0], is_final=False)
                elif isinstance(event, SpeechEnded) and not connection.behaviour.empty:
                    yield _result(text, is_final=True)
        if ear.finish():
            yield _result(text, is_final=True)

    def _check_recognition(self, request: Any, connection: Connection) -> int:
        self.configs.append(request)
        config = request.streaming_config.config
        form = config.explicit_decoding_config
        parts = request.recognizer.split("/")
        if len(parts) != 6 or parts[::2] != ["projects", "locations", "recognizers"]:
            raise self._wrong(connection, f"recognizer {request.recognizer!r}")
        if not config.model or set(config.language_codes) - _LANGUAGES:
            raise self._wrong(connection, f"{config.model!r} in {list(config.language_codes)}")
        is_linear = form.encoding.name == "LINEAR16" and form.audio_channel_count == 1
        if not is_linear or form.sample_rate_hertz not in (8_000, 16_000):
            raise self._wrong(connection, f"decoding config {form}")
        return int(form.sample_rate_hertz)

    # -- speaking ----------------------------------------------------------------------

    async def _synthesise(
        self, requests: AsyncIterator[Any], connection: Connection
    ) -> AsyncIterator[dict[str, Any]]:
        config = (await anext(aiter(requests))).streaming_config
        self.configs.append(config)
        form = config.streaming_audio_config
        language = config.voice.language_code
        if not config.voice.name.startswith(f"{language}-Chirp3-HD-"):
            raise self._wrong(connection, f"voice {config.voice.name!r} does not stream {language}")
        if form.audio_encoding.name != "PCM" or not 8_000 <= form.sample_rate_hertz <= 48_000:
            raise self._wrong(connection, f"audio config {form}")
        async for request in requests:
            if not request.input.text:
                raise self._wrong(connection, "input without text")
            async for piece in self._sound(request.input.text, form.sample_rate_hertz, connection):
                yield {"audio_content": piece}

    async def _sound(self, text: str, rate_hz: int, connection: Connection) -> AsyncIterator[bytes]:
        behaviour = connection.behaviour
        frequency, duration_ms = tone.frequency(len(self.spoken)), tone.speech_ms(text)
        self.spoken.append((text, frequency, duration_ms))
        pcm = tone.tone(frequency, duration_ms, "pcm_s16le", rate_hz)
        size = rate_hz // 1000 * tone.CHUNK_MS * 2 - behaviour.odd_frames
        pace = Pace(behaviour.speed or self.speed)
        for start in range(0, 0 if behaviour.empty else len(pcm), size):
            if connection.due_error():
                raise _Refused("INTERNAL", "simulated")
            piece = pcm[start : start + size]
            yield piece
            connection.sent(len(piece))
            await pace.after(tone.CHUNK_MS * len(piece) / size)


def _result(text: str, *, is_final: bool) -> dict[str, Any]:
    alternatives = [{"transcript": text}]
    return {"results": [{"alternatives": alternatives, "is_final": is_final}]}
