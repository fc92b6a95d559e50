"""One recognition socket: audio in, phrases out."""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from simulators.azure.messages import TICKS_PER_MS, Message, WrongMessage, text
from simulators.base import names
from simulators.connection import Connection
from simulators.energy import Endpointer, SpeechEnded, SpeechStarted

LANGUAGES: Final = names(
    "as-IN bn-IN en-IN gu-IN hi-IN kn-IN ml-IN mr-IN ne-NP or-IN pa-IN ta-IN te-IN ur-IN"
)
_RATES_HZ: Final = (8_000, 16_000)
_WAV_HEADER_BYTES: Final = 44


class Recognition:
    """What is heard over one connection.

    Args:
        connection: Over which it goes.
        language: That the address names, if it does.
        next_text: Gives the transcript of the next utterance.
    """

    def __init__(self, connection: Connection, language: str, next_text: Callable[[], str]) -> None:
        self._connection = connection
        self._language = language
        self._next_text = next_text
        self._silence_ms = 500.0
        self._is_ready = False
        self._ear: Endpointer | None = None
        self._turn = ""
        self._text = ""

    async def take(self, message: Message) -> None:
        """Obey a message.

        Raises:
            WrongMessage: It is none that a correct client sends.
        """
        if message.path == "speech.context":
            self._configure(message.json())
        elif message.path == "audio":
            await self._hear(message)
        elif message.path not in ("speech.config", "telemetry"):
            raise WrongMessage(f"unknown path {message.path}")

    def _configure(self, body: dict[str, Any]) -> None:
        detection = body.get("phraseDetection", {})
        language = detection.get("language", self._language)
        if language not in LANGUAGES:
            raise WrongMessage(f"language {language!r} is not supported")
        for value in _find(detection, "segmentationSilenceTimeoutMs"):
            self._silence_ms = float(value)
        self._is_ready = True

    async def _hear(self, message: Message) -> None:
        if not self._is_ready:
            raise WrongMessage("audio before speech.context")
        if self._ear is None:
            rate_hz = wave_rate_hz(message.body)
            self._ear = Endpointer(
                rate_hz=rate_hz, encoding="linear16", silence_ms=self._silence_ms
            )
            await self._begin(message.request_id)
            return
        if message.request_id != self._turn:
            await self._begin(message.request_id)
        if not message.body:
            for event in self._ear.finish():
                if isinstance(event, SpeechEnded):
                    await self._end_phrase(event.start_ms, event.end_ms)
            await self._say("speech.endDetected", Offset=0)
            body = {"RecognitionStatus": "EndOfDictation", "Offset": 0, "Duration": 0}
            await self._say("speech.phrase", **body)
            await self._say("turn.end")
            return
        self._connection.hear(message.body)
        if self._connection.due_error():
            await self._connection.close(1011, "simulated")
            return
        for event in self._ear.feed(message.body):
            if isinstance(event, SpeechStarted):
                self._text = self._next_text()
                offset = round(event.at_ms * TICKS_PER_MS)
                await self._say("speech.startDetected", Offset=offset)
                first = self._text.split()[:1]
                if first and not self._connection.behaviour.empty:
                    await self._say(
                        "speech.hypothesis", Text=first[0], Offset=offset, Duration=TICKS_PER_MS
                    )
            elif isinstance(event, SpeechEnded):
                await self._end_phrase(event.start_ms, event.end_ms)

    async def _begin(self, request_id: str) -> None:
        self._turn = request_id
        await self._say("turn.start", context={"serviceTag": self._connection.received.path})

    async def _end_phrase(self, start_ms: float, end_ms: float) -> None:
        is_empty = self._connection.behaviour.empty or not self._text
        await self._say(
            "speech.phrase",
            RecognitionStatus="NoMatch" if is_empty else "Success",
            DisplayText="" if is_empty else self._text,
            Offset=round(start_ms * TICKS_PER_MS),
            Duration=round((end_ms - start_ms) * TICKS_PER_MS),
        )

    async def _say(self, path: str, **body: Any) -> None:
        await self._connection.say(text(path, self._turn, body))


def wave_rate_hz(header: bytes) -> int:
    """The sample rate that the first audio message tells.

    Raises:
        WrongMessage: It is no header of 16-bit mono PCM at a rate that Azure takes.
    """
    if len(header) != _WAV_HEADER_BYTES or header[:4] != b"RIFF" or header[8:12] != b"WAVE":
        raise WrongMessage("the first audio is no WAV header")
    form, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", header[20:36])
    if (form, channels, bits) != (1, 1, 16) or rate_hz not in _RATES_HZ:
        raise WrongMessage(f"audio format {form}, {channels} channels, {rate_hz} Hz, {bits} bits")
    return int(rate_hz)


def _find(tree: Any, name: str) -> Iterator[Any]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == name:
                yield value
            else:
                yield from _find(value, name)
