"""Sarvam's realtime speech-to-text socket, with endpoints that the client sets.

As docs.sarvam.ai has it (speech-to-text realtime): an utterance is what lies between
``speech_start`` and ``speech_end``. What is sent outside of one is heard by nobody here, which
the documentation leaves open.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators.base import names, new_id
from simulators.connection import Connection

_LANGUAGES: Final = names(
    "auto as-IN bn-IN brx-IN doi-IN en-IN gu-IN hi-IN kn-IN kok-IN ks-IN mai-IN ml-IN mni-IN mr-IN"
    " ne-IN or-IN pa-IN sa-IN sat-IN sd-IN ta-IN te-IN ur-IN"
)
_CHOICES: Final = {
    "language_code": _LANGUAGES,
    "model": names("saaras:v3-realtime saaras:v4"),
    "stream_type": names("fast balanced simulated"),
    "endpointing": names("manual"),
    "encoding": names("linear16"),
    "sample_rate": names("8000 16000"),
    "mode": names("transcribe translate verbatim translit codemix"),
    "return_timestamps": names("true false"),
}
_FREE: Final = names("prompt keyterms")
_EVENTS: Final = names("audio_input speech_start speech_end flush ping end")
_PARTIAL_MS: Final = 300.0


class WrongEvent(Exception):
    """What the server answers with an error."""


@dataclass(frozen=True, slots=True)
class HeardSpeech:
    """An utterance as the client delimited it.

    Attributes:
        audio: Its bytes.
        text: What it was recognised as.
    """

    audio: bytes
    text: str


def wrong_parameter(query: Sequence[tuple[str, str]]) -> str | None:
    """What Sarvam would close the connection for; None if nothing."""
    given = dict(query)
    for name, value in given.items():
        if name not in _FREE and value not in _CHOICES.get(name, ()):
            return f"{name}={value}"
    missing = sorted(names("language_code model sample_rate encoding") - set(given))
    return f"without {missing}" if missing else None


class RecognitionSession:
    """What is heard over one connection.

    Args:
        connection: Over which it goes.
        utterances: What each utterance is recognised as, in turn.
        heard: Where every utterance is noted.
        violate: Told what no correct client would have sent.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        utterances: Sequence[str],
        heard: list[HeardSpeech],
        violate: Callable[[str], None],
    ) -> None:
        query = dict(connection.received.query)
        self._connection = connection
        self._utterances = utterances
        self._heard = heard
        self._violate = violate
        self._language = query["language_code"]
        self._bytes_per_ms = int(query["sample_rate"]) * 2 // 1000
        self._audio: bytearray | None = None
        self._partials = 0

    async def run(self, websocket: web.WebSocketResponse, *, idle_timeout_seconds: float) -> None:
        """Serve until either side closes, or nothing comes for too long."""
        await self._say("session.begin", request_id=new_id())
        try:
            while not websocket.closed:
                async with asyncio.timeout(idle_timeout_seconds):
                    message = await websocket.receive()
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                if message.type is not WSMsgType.TEXT:
                    return
                await self._take(message.data)
        except TimeoutError:
            self._violate(f"connection {self._connection.index}: silent for too long")
            await self._connection.close(1000, "idle")

    async def _take(self, text: str) -> None:
        try:
            body = msgspec.json.decode(text)
            if not isinstance(body, dict) or body.get("event") not in _EVENTS:
                raise WrongEvent("unknown event")
            if body["event"] != "audio_input":
                self._connection.read(text)
            await self._obey(body)
        except (msgspec.DecodeError, binascii.Error, WrongEvent) as error:
            self._violate(f"connection {self._connection.index}: {error}")
            await self._say("error", message=str(error), code="invalid_request_error")

    async def _obey(self, body: dict[str, Any]) -> None:
        event = body["event"]
        if event == "audio_input":
            await self._hear(base64.b64decode(body.get("audio") or "", validate=True))
        elif event == "speech_start":
            if self._audio is not None:
                raise WrongEvent("speech_start within an utterance")
            self._audio, self._partials = bytearray(), 0
        elif event == "speech_end":
            if self._audio is None:
                raise WrongEvent("speech_end without speech_start")
            await self._finish()
        elif event == "ping":
            await self._say("pong")
        elif event == "end":
            await self._say("session.end")
            await self._connection.close(1000)

    async def _hear(self, audio: bytes) -> None:
        if not audio or len(audio) % 2:
            raise WrongEvent("audio must hold whole samples")
        self._connection.hear(audio)
        if self._connection.due_error():
            await self._say("error", message="recognition failed", code="internal_server_error")
        if self._audio is None:
            return
        self._audio += audio
        words = self._text().split()
        due = int(len(self._audio) / self._bytes_per_ms / _PARTIAL_MS)
        if self._partials < min(due, len(words)):
            self._partials = due
            text = " ".join(words[:due])
            await self._say("transcript.partial", text=text, language=self._language)

    async def _finish(self) -> None:
        audio, self._audio = bytes(self._audio or b""), None
        text = self._text() if audio and not self._connection.behaviour.empty else ""
        self._heard.append(HeardSpeech(audio, text))
        await self._say("transcript.final", text=text, language=self._language)

    def _text(self) -> str:
        return self._utterances[len(self._heard) % len(self._utterances)]

    async def _say(self, event: str, **fields: Any) -> None:
        await self._connection.say(msgspec.json.encode({"event": event, **fields}).decode())
