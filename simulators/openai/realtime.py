"""The realtime interface, as far as transcription goes."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators.base import names, new_id
from simulators.connection import Connection
from simulators.energy import BYTES_PER_SAMPLE, loudness
from simulators.openai.audio import LANGUAGES, LOUD, Heard, NextText

#: Type of audio to encoding and rate.
_FORMATS: Final = {
    "audio/pcm": ("linear16", 24_000),
    "audio/pcmu": ("mulaw", 8_000),
    "audio/pcma": ("alaw", 8_000),
}
_LEAST_MS: Final = 100
_ITEM: Final = "conversation.item.input_audio_transcription"
_INPUT_KEYS: Final = names("format transcription turn_detection noise_reduction")
_TRANSCRIPTION_KEYS: Final = names("model language prompt delay")


class WrongEvent(ValueError):
    """An event that is answered with an error.

    Attributes:
        code: OpenAI's word for it.
    """

    def __init__(self, text: str, code: str = "invalid_value") -> None:
        super().__init__(text)
        self.code = code


class TranscriptionSession:
    """One session.

    Args:
        connection: Its socket.
        next_text: What is heard next.
        heard: Where it is noted.
        violate: Told of what no correct client sends.
    """

    def __init__(
        self,
        connection: Connection,
        next_text: NextText,
        heard: list[Heard],
        violate: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._next_text = next_text
        self._heard = heard
        self._violate = violate
        self._format = "audio/pcm"
        self._model = ""
        self._language = ""
        self._buffer = bytearray()

    async def run(self, websocket: web.WebSocketResponse) -> None:
        """Serve it until it is closed."""
        await self._say("session.created", session=self._described())
        async for received in websocket:
            if received.type is not WSMsgType.TEXT:
                await self._refuse(WrongEvent("binary frames are not understood"))
                continue
            self._connection.read(received.data)
            try:
                event = msgspec.json.decode(received.data)
                if not isinstance(event, dict):
                    raise WrongEvent("no event", "invalid_json")
                await self._obey(event)
            except msgspec.DecodeError as error:
                await self._refuse(WrongEvent(str(error), "invalid_json"))
            except WrongEvent as error:
                await self._refuse(error)
            if self._connection.due_error():
                await self._error("server_error", "server_error", "The server had an error.")

    async def _obey(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        if kind == "session.update":
            self._configure(event.get("session"))
            await self._say("session.updated", session=self._described())
        elif kind == "input_audio_buffer.append":
            self._append(event.get("audio"))
        elif kind == "input_audio_buffer.clear":
            self._buffer.clear()
            await self._say("input_audio_buffer.cleared")
        elif kind == "input_audio_buffer.commit":
            await self._commit()
        else:
            raise WrongEvent(f"Invalid value: {kind!r}.")

    def _configure(self, session: Any) -> None:
        if not isinstance(session, dict) or session.get("type") != "transcription":
            raise WrongEvent("the session's type is not transcription")
        listening = (session.get("audio") or {}).get("input")
        if not isinstance(listening, dict) or set(listening) - _INPUT_KEYS:
            raise WrongEvent(f"session.audio.input: {listening}", "unknown_parameter")
        form, transcription = listening.get("format"), listening.get("transcription")
        if not isinstance(form, dict) or form.get("type") not in _FORMATS:
            raise WrongEvent(f"session.audio.input.format: {form}")
        if (form["type"] == "audio/pcm") != (form.get("rate") == 24_000):
            raise WrongEvent(f"session.audio.input.format.rate: {form.get('rate')}")
        if not isinstance(transcription, dict) or set(transcription) - _TRANSCRIPTION_KEYS:
            raise WrongEvent(f"transcription: {transcription}", "unknown_parameter")
        if not transcription.get("model"):
            raise WrongEvent("session.audio.input.transcription.model is missing")
        language = transcription.get("language", "")
        if language and language not in LANGUAGES:
            raise WrongEvent(f"Invalid language '{language}'.")
        if listening.get("turn_detection", 0) is not None:
            raise WrongEvent("only sessions without turn detection are simulated")
        self._format = form["type"]
        self._model, self._language = transcription["model"], language

    def _append(self, audio: Any) -> None:
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise WrongEvent("audio is not base64", "invalid_value") from error
        if not self._model:
            raise WrongEvent("audio before the session was configured")
        self._buffer += data
        self._connection.hear(data)

    async def _commit(self) -> None:
        encoding, rate_hz = _FORMATS[self._format]
        audio = bytes(self._buffer)
        self._buffer.clear()
        duration_ms = len(audio) / BYTES_PER_SAMPLE[encoding] / rate_hz * 1000
        if duration_ms < _LEAST_MS:
            raise WrongEvent(
                f"buffer too small: {duration_ms:.0f} ms", "input_audio_buffer_commit_empty"
            )
        is_speech = not self._connection.behaviour.empty and loudness(audio, encoding) >= LOUD
        text = self._next_text(is_speech)
        self._heard.append(
            Heard(self._model, self._language, rate_hz, duration_ms, text, self._format)
        )
        item = f"item_{new_id()[:8]}"
        await self._say("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        words = text.split(" ") if text else []
        for number, word in enumerate(words):
            piece = word if number == 0 else f" {word}"
            await self._say(f"{_ITEM}.delta", item_id=item, content_index=0, delta=piece)
            await asyncio.sleep(0)
        await self._say(f"{_ITEM}.completed", item_id=item, content_index=0, transcript=text)

    async def _refuse(self, error: WrongEvent) -> None:
        self._violate(f"connection {self._connection.index}: {error}")
        await self._error("invalid_request_error", error.code, str(error))

    async def _error(self, kind: str, code: str, text: str) -> None:
        error = {"type": kind, "code": code, "message": text, "param": None, "event_id": None}
        await self._say("error", error=error)

    async def _say(self, kind: str, **more: Any) -> None:
        event = {"event_id": f"event_{new_id()[:8]}", "type": kind, **more}
        await self._connection.say(msgspec.json.encode(event).decode())

    def _described(self) -> dict[str, Any]:
        form = {"type": self._format}
        return {"type": "transcription", "audio": {"input": {"format": form}}}
