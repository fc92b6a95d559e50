"""Reading JSON from strangers: limits first, one typed decode, one kind of error."""

import json
from typing import Any, TypeVar

import msgspec

from config.errors import WireError
from serializer.base import MAX_JSON_DEPTH, MAX_MESSAGE_BYTES

T = TypeVar("T")

_LONGEST_DETAIL = 200


def read_json(decoder: msgspec.json.Decoder[T], data: str | bytes) -> T:
    """Decode one message into the decoder's type.

    Raises:
        WireError: ``message_too_large`` over 64 KiB, else ``message_invalid``: no UTF-8, no
            JSON, nested too deeply, or not of the type.
    """
    try:
        check_size(data)
        if isinstance(data, str):
            brackets = data.count("{") + data.count("[")
        else:
            if not data.isascii():
                data.decode()
            brackets = data.count(b"{") + data.count(b"[")
        if brackets > MAX_JSON_DEPTH:
            _check_depth(data)
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise WireError("message_invalid", _detail(error)) from None


def check_size(data: str | bytes) -> None:
    """Refuse a message over 64 KiB.

    Raises:
        WireError: ``message_too_large``.
    """
    size_bytes = len(data)
    if isinstance(data, str) and size_bytes > MAX_MESSAGE_BYTES // 4:
        size_bytes = len(data.encode(errors="surrogatepass"))
    if size_bytes > MAX_MESSAGE_BYTES:
        raise WireError(
            "message_too_large",
            f"a message may be {MAX_MESSAGE_BYTES} bytes long, this one has {size_bytes}",
        )


def refuse_repeated_keys(data: str | bytes) -> None:
    """Refuse an object that names a key twice, since readers differ on which one counts.

    Costs a second parse, so audio messages are spared it: there the last one counts.

    Raises:
        WireError: ``message_invalid``.
    """
    try:
        json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise WireError("message_invalid", _detail(error)) from None


def whole_number(value: int | float | str | None) -> int | None:
    """An integer that a peer wrote as a number or as digits; None for anything else."""
    if isinstance(value, str):
        return int(value) if len(value) <= 20 and value.isascii() and value.isdigit() else None
    return None if value is None else int(value)


def _check_depth(data: str | bytes) -> None:
    """Count brackets outside strings; unbalanced ones are left for the decoder to refuse."""
    text = data if isinstance(data, str) else data.decode()
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "{[":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise WireError("message_invalid", f"nested deeper than {MAX_JSON_DEPTH} levels")
        elif character in "}]":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is given twice")
    return members


def _detail(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "not valid UTF-8"
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_JSON_DEPTH} levels"
    return str(error)[:_LONGEST_DETAIL]
