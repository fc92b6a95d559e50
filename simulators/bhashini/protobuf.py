"""Protobuf by hand: the few messages of Bhashini's gRPC services, read strictly and written.

Written from the wire format itself, not with the classes that the server uses, so that one
mistake in a field's number cannot cancel itself.
"""

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an integer, or bytes.

    Raises:
        ValueError: It is no message.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"field {number} of type {kind}")
        if place + size > len(data):
            raise ValueError(f"field {number} is cut short")
        yield number, data[place : place + size]
        place += size


def field(number: int, value: int | bytes | str) -> bytes:
    """One field."""
    if isinstance(value, int):
        return _as_varint(number << 3 | _VARINT) + _as_varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(content)) + content


def integers(packed: int | bytes) -> list[int]:
    """The values of a repeated integer field, packed or not."""
    if isinstance(packed, int):
        return [packed]
    found = []
    place = 0
    while place < len(packed):
        value, place = _varint(packed, place)
        found.append(value)
    return found


def strings(raw: bytes) -> list[str]:
    """Values of a Triton tensor of type ``BYTES``: each behind its length.

    Raises:
        ValueError: They are not packed so.
    """
    found = []
    place = 0
    while place < len(raw):
        if place + 4 > len(raw):
            raise ValueError("a length is cut short")
        (size,) = struct.unpack_from("<I", raw, place)
        if place + 4 + size > len(raw):
            raise ValueError("a value is cut short")
        found.append(raw[place + 4 : place + 4 + size].decode())
        place += 4 + size
    return found


def packed_strings(*values: str) -> bytes:
    """The same, the other way round."""
    encoded = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise ValueError("a number is cut short")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
