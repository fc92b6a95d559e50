"""What ``/audio/transcriptions`` and ``/audio/speech`` take, and what they give."""

import io
import re
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from aiohttp import web

from simulators import tone
from simulators.base import names
from simulators.connection import Connection, Received
from simulators.energy import loudness
from simulators.openai.request import InvalidRequest
from simulators.pace import Pace

#: What is heard, one after the other, again from the first after the last.
Texts = Sequence[str]
#: Gives the next text, an empty one where there is no speech.
NextText = Callable[[bool], str]

SPEECH_RATE_HZ: Final = 24_000
#: Mean sample size above which there is speech.
LOUD: Final = 150.0
_LONGEST_INPUT: Final = 4096
_FIELDS: Final = names(
    "file model language prompt response_format temperature stream timestamp_granularities[]"
    " chunking_strategy keywords languages include[] keywords[]"
)
#: Whisper's tokens for languages of India.
LANGUAGES: Final = names("as bn en gu hi kn ml mr ne pa sa sd ta te ur")
_SPEECH_KEYS: Final = names("input model voice response_format instructions speed stream_format")


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance that was transcribed.

    Attributes:
        language: As it was asked for.
        rate_hz: Of the audio.
        format: ``wav`` in a request; in a session the type of its audio, such as ``audio/pcmu``.
    """

    model: str
    language: str
    rate_hz: int
    duration_ms: float
    text: str
    format: str = "wav"
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One text that was spoken."""

    text: str
    model: str
    voice: str
    instructions: str = ""
    speed: float = 1.0

    @classmethod
    def of(cls, received: Received) -> Self:
        """What a request wants spoken.

        Raises:
            InvalidRequest: What is wrong with it.
        """
        try:
            body: Any = received.json()
        except ValueError as error:
            raise InvalidRequest("We could not parse the JSON body of your request.") from error
        if not isinstance(body, dict):
            raise InvalidRequest("We could not parse the JSON body of your request.")
        for name in body:
            if name not in _SPEECH_KEYS:
                raise InvalidRequest(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        for name in ("input", "model", "voice"):
            if not isinstance(body.get(name), str) or not body[name].strip():
                raise InvalidRequest(f"Missing required parameter: '{name}'.", name)
        if len(body["input"]) > _LONGEST_INPUT:
            raise InvalidRequest("string_above_max_length", "input", "string_above_max_length")
        if body.get("response_format") != "pcm":
            raise InvalidRequest("only pcm is simulated", "response_format")
        speed = body.get("speed", 1.0)
        if not isinstance(speed, int | float) or not 0.25 <= speed <= 4.0:
            raise InvalidRequest(f"Invalid 'speed': {speed}.", "speed")
        return cls(body["input"], body["model"], body["voice"], body.get("instructions", ""), speed)


def hear(connection: Connection, content_type: str, next_text: NextText) -> Heard:
    """Transcribe the file of a multipart request.

    Raises:
        InvalidRequest: What is wrong with it.
    """
    fields = _fields(connection.received.body, content_type)
    for name in fields:
        if name not in _FIELDS:
            raise InvalidRequest(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    for name in ("file", "model"):
        if not fields.get(name):
            raise InvalidRequest(f"you must provide a {name} parameter", name)
    language = fields.get("language", b"").decode()
    if language and language not in LANGUAGES:
        raise InvalidRequest(f"Invalid language '{language}'.", "language", "invalid_language")
    try:
        temperature = float(fields.get("temperature", b"0"))
    except ValueError as error:
        raise InvalidRequest("Invalid type for 'temperature'.", "temperature") from error
    if not 0 <= temperature <= 1:
        raise InvalidRequest(f"Invalid 'temperature': {temperature}.", "temperature")
    if fields.get("response_format", b"json") != b"json":
        raise InvalidRequest("only json is simulated", "response_format")
    pcm, rate_hz = _samples(fields["file"])
    connection.hear(pcm)
    is_speech = not connection.behaviour.empty and loudness(pcm) >= LOUD
    return Heard(
        model=fields["model"].decode(),
        language=language,
        rate_hz=rate_hz,
        duration_ms=len(pcm) / 2 / rate_hz * 1000,
        text=next_text(is_speech),
        prompt=fields.get("prompt", b"").decode(),
    )


async def speak(
    connection: Connection,
    response: web.StreamResponse,
    spoken: Spoken,
    number: int,
    speed: float,
) -> None:
    """Send the audio of a text: a tone of its own, in proportion to its letters."""
    behaviour = connection.behaviour
    rate_hz = behaviour.audio_rate_hz or SPEECH_RATE_HZ
    duration_ms = 0.0 if behaviour.empty else tone.speech_ms(spoken.text) / spoken.speed
    audio = tone.tone(tone.frequency(number), duration_ms, "pcm_s16le", rate_hz)
    pace = Pace(behaviour.speed or speed)
    size = rate_hz * tone.CHUNK_MS // 1000 * 2 - (1 if behaviour.odd_frames else 0)
    for start in range(0, len(audio), size):
        if connection.silent:
            await connection.lie_low()
        piece = audio[start : start + size]
        await response.write(piece)
        connection.sent(len(piece))
        if connection.due_error():
            connection.drop()
            return
        await pace.after(len(piece) / 2 / rate_hz * 1000)


def _fields(body: bytes, content_type: str) -> Mapping[str, bytes]:
    """The parts of ``multipart/form-data`` (RFC 7578) by name."""
    found = re.fullmatch(r'multipart/form-data; *boundary="?([^";]+)"?', content_type)
    if found is None:
        raise InvalidRequest(f"Unsupported content type: '{content_type}'.")
    edge = b"--" + found[1].encode()
    if not body.startswith(edge) or not body.rstrip().endswith(edge + b"--"):
        raise InvalidRequest("Could not parse multipart form")
    fields: dict[str, bytes] = {}
    for part in body.split(edge)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        if name is None:
            raise InvalidRequest("Could not parse multipart form")
        fields[name[1].decode()] = value.removesuffix(b"\r\n")
    return fields


def _samples(file: bytes) -> tuple[bytes, int]:
    """16-bit mono samples and rate of a WAV file."""
    try:
        with wave.open(io.BytesIO(file)) as sound:
            if (sound.getnchannels(), sound.getsampwidth()) != (1, 2):
                raise InvalidRequest("only 16-bit mono is simulated", "file")
            return sound.readframes(sound.getnframes()), sound.getframerate()
    except (wave.Error, EOFError) as error:
        raise InvalidRequest("Audio file might be corrupted or unsupported", "file") from error
