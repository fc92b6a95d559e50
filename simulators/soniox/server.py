"""Soniox's door ``/transcribe-websocket``, as soniox.com/docs has it.

A configuration first, then audio in binary frames; results hold tokens, the final ones once.
``{"type": "finalize"}`` makes all final, which the token ``<fin>`` confirms; an empty message
ends the session. Errors are sent as a message with an HTTP status, then the socket closes.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators.base import Simulator, json_response, names, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection
from simulators.energy import Endpointer

_FIELDS: Final = names(
    "model audio_format num_channels sample_rate language_hints language_hints_strict context"
    " enable_endpoint_detection max_endpoint_delay_ms endpoint_sensitivity"
    " endpoint_latency_adjustment_level enable_speaker_diarization enable_language_identification"
    " client_reference_id"
)
_LANGUAGES: Final = names("bn en gu hi kn ml mr pa ta te ur")
_CONTEXT: Final = names("general text terms translation_terms")
_PARTIAL_MS: Final = 300.0
_TEXT_BYTES: Final = 2


class WrongMessage(Exception):
    """What the server answers with an error 400."""


class SonioxSimulator(Simulator):
    """Soniox, strict in what it receives, scripted in what it hears.

    Args:
        utterances: What each stretch of speech is recognised as, in turn.
        idle_timeout_seconds: After so long without audio or keepalive the socket is closed.
        port: Port, 0 for a free one.
        api_key: The only key accepted.
        behaviour: How connections are treated.
        script: How the first connections are treated.
    """

    vendor: ClassVar[str] = "soniox"

    def __init__(
        self,
        *,
        utterances: Sequence[str] = ("नमस्ते",),
        idle_timeout_seconds: float = 20.0,
        port: int = 0,
        api_key: str | None = None,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, api_key=api_key, behaviour=behaviour, script=script)
        self.utterances = utterances
        self.idle_timeout_seconds = idle_timeout_seconds
        self.utterance_count = 0

    def routes(self) -> Iterable[web.RouteDef]:
        """The transcription socket."""
        return [self.door("GET", "/transcribe-websocket", self._transcribe)]

    def error_response(self, status: int, headers: Mapping[str, str]) -> web.Response:
        """A refusal in Soniox's shape."""
        body = {"error_code": status, "error_message": "simulated"}
        return json_response(body, status=status, headers=headers)

    async def _transcribe(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        scheme, _, key = connection.received.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.api_key is not None and key != self.api_key):
            self.violate(f"connection {connection.index}: no valid key")
            refuse(self.error_response(401, {}))
        websocket = await connection.upgrade(request)
        await _Session(self, connection).run(websocket)
        return websocket


class _Session:
    """One client."""

    def __init__(self, simulator: SonioxSimulator, connection: Connection) -> None:
        self._simulator = simulator
        self._connection = connection
        self._ear: Endpointer | None = None
        self._loud_ms = 0.0
        self._sent_words = 0

    async def run(self, websocket: web.WebSocketResponse) -> None:
        try:
            while not websocket.closed:
                async with asyncio.timeout(self._simulator.idle_timeout_seconds):
                    message = await websocket.receive()
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                if message.type is WSMsgType.TEXT:
                    self._connection.read(message.data)
                    if not await self._obey(message.data):
                        return
                elif message.type is WSMsgType.BINARY:
                    await self._hear(message.data)
                else:
                    return
        except WrongMessage as error:
            self._simulator.violate(f"connection {self._connection.index}: {error}")
            await self._fail(400, str(error))
        except TimeoutError:
            self._simulator.violate(f"connection {self._connection.index}: no keepalive")
            await self._fail(408, "Request timeout.")

    async def _obey(self, text: str) -> bool:
        """Do what a text message says; returns whether the session goes on."""
        if self._ear is None:
            self._ear = _configured(text)
            return True
        if not text:
            await self._tokens(self._rest(final=True))
            await self._say(tokens=[], finished=True)
            await self._connection.close(1000)
            return False
        if text.replace(" ", "") == '{"type":"finalize"}':
            await self._tokens([*self._rest(final=True), _token("<fin>", True)])
        elif text.replace(" ", "") != '{"type":"keepalive"}':
            raise WrongMessage(f"unknown message {text[:40]}")
        return True

    async def _hear(self, audio: bytes) -> None:
        if self._ear is None:
            raise WrongMessage("audio before the configuration")
        if not audio or len(audio) % _TEXT_BYTES:
            raise WrongMessage("audio must hold whole samples")
        self._connection.hear(audio)
        if self._connection.due_error():
            await self._fail(503, "Cannot continue request (code 1). Please restart the request.")
            return
        self._ear.feed(audio)
        if self._ear.speaking and self._ear.position_ms - self._loud_ms >= _PARTIAL_MS:
            self._loud_ms = self._ear.position_ms
            await self._partial()

    async def _partial(self) -> None:
        """One more word is final, the next one not yet."""
        words = self._words()
        now = words[self._sent_words : self._sent_words + 1]
        soon = words[self._sent_words + 1 : self._sent_words + 2]
        if soon:
            self._sent_words += 1
            await self._tokens([_token(now[0], True), _token(soon[0], False)])

    def _rest(self, *, final: bool) -> list[dict[str, Any]]:
        """What was not final yet of the utterance under way."""
        if self._ear is None or not self._ear.finish():
            return []
        rest = self._words()[self._sent_words :]
        self._sent_words = 0
        self._simulator.utterance_count += 1
        return [_token(word, final) for word in rest]

    def _words(self) -> list[str]:
        if self._connection.behaviour.empty:
            return []
        texts = self._simulator.utterances
        words = texts[self._simulator.utterance_count % len(texts)].split()
        return [word if number == 0 else f" {word}" for number, word in enumerate(words)]

    async def _tokens(self, tokens: list[dict[str, Any]]) -> None:
        await self._say(tokens=tokens)

    async def _fail(self, status: int, words: str) -> None:
        await self._say(error_code=status, error_message=words)
        await self._connection.close(1000)

    async def _say(self, **fields: Any) -> None:
        await self._connection.say(msgspec.json.encode(fields).decode())


def _configured(text: str) -> Endpointer:
    try:
        config = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise WrongMessage(f"configuration: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), str):
        raise WrongMessage("configuration without a model")
    if unknown := sorted(set(config) - _FIELDS):
        raise WrongMessage(f"unknown fields: {unknown}")
    if config.get("audio_format") != "pcm_s16le" or config.get("num_channels") != 1:
        raise WrongMessage("only mono pcm_s16le is simulated")
    if config.get("sample_rate") not in (8000, 16000):
        raise WrongMessage(f"sample_rate: {config.get('sample_rate')}")
    if set(config.get("language_hints") or ()) - _LANGUAGES:
        raise WrongMessage(f"language_hints: {config['language_hints']}")
    context = config.get("context")
    if context is not None and (not isinstance(context, dict) or set(context) - _CONTEXT):
        raise WrongMessage("context")
    return Endpointer(rate_hz=config["sample_rate"], encoding="linear16", silence_ms=float("inf"))


def _token(text: str, is_final: bool) -> dict[str, Any]:
    return {"text": text, "is_final": is_final, "confidence": 0.95}
