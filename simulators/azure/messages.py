"""Messages of Azure's speech protocol ("USP"): headers, then a body.

Text frames have headers as lines, an empty line and a body. Binary frames have the length of
their headers (16 bits, big endian), the headers and the body. Written from Microsoft's
"Speech service WebSocket protocol" and from what its SDK 1.53 sends and takes.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

#: Times in messages count 100 ns.
TICKS_PER_MS: Final = 10_000


class WrongMessage(Exception):
    """A message that no correct client sends."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as received; names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """What it is."""
        return self.headers["path"].casefold()

    @property
    def request_id(self) -> str:
        """Of the turn that it belongs to."""
        return self.headers.get("x-requestid", "")

    def json(self) -> dict[str, Any]:
        """The body.

        Raises:
            WrongMessage: It is no JSON object.
        """
        try:
            body = msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise WrongMessage(f"{self.path}: {error}") from error
        if not isinstance(body, dict):
            raise WrongMessage(f"{self.path}: not an object")
        return body


def parse(data: str | bytes) -> Message:
    """Take a message apart.

    Raises:
        WrongMessage: It is none.
    """
    if isinstance(data, str):
        head, found, body = data.partition("\r\n\r\n")
        if not found:
            raise WrongMessage("a text message without an end of its headers")
        message = Message(_headers(head), body.encode())
    else:
        if len(data) < 2:
            raise WrongMessage("a binary message without headers")
        size = struct.unpack(">H", data[:2])[0]
        if len(data) < 2 + size:
            raise WrongMessage("a binary message shorter than its headers")
        message = Message(_headers(data[2 : 2 + size].decode()), data[2 + size :])
    if "path" not in message.headers:
        raise WrongMessage("Path is missing")
    try:
        datetime.fromisoformat(message.headers["x-timestamp"])
    except (KeyError, ValueError) as error:
        raise WrongMessage("X-Timestamp is missing or no time") from error
    return message


def _headers(head: str) -> dict[str, str]:
    lines = [line.partition(":") for line in head.split("\r\n") if line]
    return {name.strip().casefold(): value.strip() for name, _, value in lines}


def text(path: str, request_id: str, body: Mapping[str, Any]) -> str:
    """A text message."""
    head = (
        f"X-RequestId:{request_id}\r\nContent-Type:application/json; charset=utf-8\r\nPath:{path}"
    )
    return f"{head}\r\n\r\n{msgspec.json.encode(body).decode()}"


def audio(request_id: str, stream_id: str, pcm: bytes) -> bytes:
    """A binary message with sound; without any, the end of it."""
    head = (
        f"X-RequestId:{request_id}\r\nContent-Type:audio/x-wav\r\n"
        f"X-StreamId:{stream_id}\r\nPath:audio\r\n"
    ).encode()
    return struct.pack(">H", len(head)) + head + pcm
