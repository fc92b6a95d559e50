"""What passes between the server and its recogniser process: length, then MessagePack."""

import struct
from typing import Annotated

import msgspec

from services.offline.vocabulary import Vocabulary

#: Length of what follows, in bytes.
HEADER = struct.Struct(">I")
#: A minute of 16 kHz audio and a large vocabulary fit.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


class Request(msgspec.Struct, frozen=True):
    """Recognise ``pcm``, or without audio only make the vocabulary ready.

    Attributes:
        pcm: 16-bit little-endian mono.
        rate_hz: Its sample rate.
        sensitivity: 0 to 1.
    """

    vocabulary: Vocabulary
    pcm: bytes = b""
    rate_hz: Annotated[int, msgspec.Meta(ge=8_000, le=48_000)] = 8_000
    sensitivity: float = 0.5


class Recognition(msgspec.Struct, frozen=True):
    """What an utterance was taken for.

    Attributes:
        text: Best phrase with its slot values, whether accepted or not; empty if none.
        confidence: 0 to 1.
        accepted: Whether the confidence suffices.
        speech_seconds: How much speech there was.
    """

    text: str
    confidence: float
    accepted: bool
    speech_seconds: float


class Reply(msgspec.Struct, frozen=True):
    """The answer to one request.

    Attributes:
        recognition: What was heard.
        error_code: Set instead where it failed; ``error_message`` says why.
    """

    recognition: Recognition
    error_code: str = ""
    error_message: str = ""


NOTHING = Recognition(text="", confidence=0.0, accepted=False, speech_seconds=0.0)
