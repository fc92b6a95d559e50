"""Messages of the JSON protocol on ``/voice``, read as strictly as its specification allows.

The server may add members and no more: a type that is not listed, a missing member or one of
the wrong type is a violation.
"""

import binascii
import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from simulators.caller.codec import MULAW_8K, WireFormat, l16

FORMATS: Final[Mapping[str, WireFormat]] = {
    "pcm_8k": l16(8000, "little"),
    "pcm_16k": l16(16000, "little"),
    "pcm_24k": l16(24000, "little"),
    "mulaw_8k": MULAW_8K,
}
_LEAST_EPOCH_MS: Final = 1_500_000_000_000
_MOST_EPOCH_MS: Final = 10_000_000_000_000


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The session is up."""

    session_id: str
    timestamp: int
    formats: list[str]


class Audio(msgspec.Struct, frozen=True, tag="audio", gc=False):
    """Audio to play."""

    session_id: str
    timestamp: int
    sequence: int
    data: str
    format: str | None = None


class Transcript(msgspec.Struct, frozen=True, tag="transcript"):
    """What somebody said; replaced by the next of the same role until it is final."""

    session_id: str
    timestamp: int
    role: Literal["user", "assistant", "caller", "agent"]
    text: str
    final: bool


class Status(msgspec.Struct, frozen=True, tag="status"):
    """What the agent is doing."""

    session_id: str
    timestamp: int
    state: Literal["listening", "thinking", "speaking", "paused", "ended"]


class Interrupted(msgspec.Struct, frozen=True, tag="interrupted"):
    """Drop what you have buffered."""

    session_id: str
    timestamp: int


class Metrics(msgspec.Struct, frozen=True, tag="metrics"):
    """How long a turn took, as the server sees it."""

    session_id: str
    timestamp: int
    turn: int
    response_ms: float | None = None
    stt_ms: float | None = None
    llm_ms: float | None = None
    tts_ms: float | None = None


class Error(msgspec.Struct, frozen=True, tag="error"):
    """Something was refused; where ``fatal``, the socket closes next.

    ``session_id`` is null where there is no session yet.
    """

    session_id: str | None
    timestamp: int
    code: str
    message: str
    fatal: bool


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """Answer to ``ping``."""

    session_id: str | None
    timestamp: int


ServerMessage = Ready | Audio | Transcript | Status | Interrupted | Metrics | Error | Pong
_decoder = msgspec.json.Decoder(ServerMessage)


def read_message(data: bytes) -> ServerMessage:
    """Decode one text message.

    Raises:
        ValueError: It does not follow the protocol; says how.
    """
    try:
        message: ServerMessage = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{_type_of(data)}: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError("a text message is not UTF-8") from error
    if not _LEAST_EPOCH_MS < message.timestamp < _MOST_EPOCH_MS:
        raise ValueError(f"{_type_of(data)}: timestamp is not in milliseconds since 1970")
    return message


def audio_payload(message: Audio) -> bytes:
    """The samples of an ``audio`` message.

    Raises:
        ValueError: Not base64.
    """
    try:
        return binascii.a2b_base64(message.data, strict_mode=True)
    except ValueError as error:
        raise ValueError(f"audio: data is not base64 ({error})") from error


def encode(kind: str, **members: Any) -> bytes:
    """A message to the server."""
    return json.dumps({"type": kind, **members}, ensure_ascii=False).encode()


def audio_template(session_id: str, format_name: str) -> bytes:
    """An ``audio`` message with places for sequence and base64 payload."""
    head = json.dumps({"type": "audio", "session_id": session_id, "format": format_name})
    escaped = head[:-1].replace("%", "%%").encode()
    return escaped + b',"sequence":%d,"data":"%b"}'


def _type_of(data: bytes) -> str:
    try:
        loose = json.loads(data)
    except ValueError:
        return "no JSON"
    kind = loose.get("type") if isinstance(loose, dict) else None
    return repr(kind) if isinstance(kind, str) else "a message without type"
