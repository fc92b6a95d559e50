"""One synthesis socket: SSML in, sound and word times out."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

from simulators import tone
from simulators.azure.messages import TICKS_PER_MS, Message, WrongMessage, audio, text
from simulators.connection import Connection
from simulators.pace import Pace

_FORMATS: Final = {
    f"raw-{name}-16bit-mono-pcm": rate_hz
    for name, rate_hz in {
        "8khz": 8_000,
        "16khz": 16_000,
        "24khz": 24_000,
        "48khz": 48_000,
    }.items()
}
_SSML: Final = "{http://www.w3.org/2001/10/synthesis}"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(slots=True)
class Spoken:
    """A text that was, or is being, spoken.

    Attributes:
        frequency_hz: Its tone.
        duration_ms: How long the whole of it is.
        ssml: As it was received.
    """

    text: str
    language: str
    voice: str
    rate_hz: int
    frequency_hz: int
    duration_ms: float
    ssml: str


class Synthesis:
    """What is said over one connection.

    Args:
        connection: Over which it goes.
        speed: Multiple of real time at which sound comes.
        spoken: Where every text is noted.
    """

    def __init__(self, connection: Connection, speed: float, spoken: list[Spoken]) -> None:
        self._connection = connection
        self._speed = speed
        self._spoken = spoken
        self._context: dict[str, Any] = {}
        self._speaking: asyncio.Task[None] | None = None

    async def take(self, message: Message) -> None:
        """Obey a message.

        Raises:
            WrongMessage: It is none that a correct client sends.
        """
        if message.path == "synthesis.context":
            self._context = message.json().get("synthesis", {}).get("audio", {})
            if self._context.get("outputFormat") not in _FORMATS:
                raise WrongMessage(f"outputFormat {self._context.get('outputFormat')!r}")
        elif message.path == "ssml":
            await self.stop()
            spoken = self._parse(message.body.decode())
            self._speaking = asyncio.create_task(self._speak(spoken, message.request_id))
        elif message.path == "synthesis.control":
            await self.stop()
        elif message.path not in ("speech.config", "telemetry"):
            raise WrongMessage(f"unknown path {message.path}")

    async def stop(self) -> None:
        """Say no more of what is being said."""
        if self._speaking is not None:
            self._speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._speaking
            self._speaking = None

    def _parse(self, ssml: str) -> Spoken:
        try:
            speak = ElementTree.fromstring(ssml)
        except ElementTree.ParseError as error:
            raise WrongMessage(f"ssml: {error}") from error
        voice = speak.find(f"{_SSML}voice")
        if speak.tag != f"{_SSML}speak" or voice is None or not self._context:
            raise WrongMessage("ssml needs speak, voice and a synthesis.context before")
        language, name = speak.get(_LANG, ""), voice.get("name", "")
        if not language or not name.startswith(language):
            raise WrongMessage(f"voice {name!r} does not speak {language!r}")
        words = "".join(voice.itertext())
        spoken = Spoken(
            words,
            language,
            name,
            _FORMATS[self._context["outputFormat"]],
            tone.frequency(len(self._spoken)),
            tone.speech_ms(words),
            ssml,
        )
        self._spoken.append(spoken)
        return spoken

    async def _speak(self, spoken: Spoken, turn: str) -> None:
        connection, behaviour = self._connection, self._connection.behaviour
        rate_hz = behaviour.audio_rate_hz or spoken.rate_hz
        tag = {"serviceTag": "simulated"}
        await connection.say(text("turn.start", turn, {"context": tag}))
        about = {"context": tag, "audio": {"type": "inline", "streamId": "1"}}
        await connection.say(text("response", turn, about))
        options = self._context.get("metadataOptions", {})
        if options.get("wordBoundaryEnabled"):
            await connection.say(text("audio.metadata", turn, _boundaries(spoken)))
        pcm = tone.tone(spoken.frequency_hz, spoken.duration_ms, "pcm_s16le", rate_hz)
        size = rate_hz // 1000 * tone.CHUNK_MS * 2 - behaviour.odd_frames
        pace = Pace(behaviour.speed or self._speed)
        for start in range(0, 0 if behaviour.empty else len(pcm), size):
            if connection.due_error():
                await connection.close(1011, "simulated")
                return
            piece = pcm[start : start + size]
            await connection.say(audio(turn, "1", piece))
            connection.sent(len(piece))
            await pace.after(tone.CHUNK_MS * len(piece) / size)
        await connection.say(audio(turn, "1", b""))
        await connection.say(text("turn.end", turn, {}))


def _boundaries(spoken: Spoken) -> dict[str, Any]:
    words = spoken.text.split()
    step = spoken.duration_ms * TICKS_PER_MS / max(1, len(words))
    return {
        "Metadata": [
            {
                "Type": "WordBoundary",
                "Data": {
                    "Offset": round(number * step),
                    "Duration": round(step),
                    "text": {"Text": word, "Length": len(word), "BoundaryType": "WordBoundary"},
                },
            }
            for number, word in enumerate(words)
        ]
    }
