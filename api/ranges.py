"""The header ``Range`` for one part of a file (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(.*)", re.IGNORECASE | re.DOTALL)
_PART = re.compile(r"([0-9]*)-([0-9]*)")
#: No file is longer than a number of this many digits; longer ones are as good as this.
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file: never empty, inside the file."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The header ``Content-Range`` of an answer with this part."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


class RangeError(Exception):
    """A range that cannot be served: 416. The message is for a person."""


def parse_range(header: str | None, size: int) -> Span | None:
    """Which part is asked for; None asks for the whole.

    Another unit than bytes, and what is no range at all, is as if it were not there, as the
    standard wants it (section 14.2).

    Raises:
        RangeError: It lies outside the file, or there are several: of one request, many small
            parts cost a server far more than they cost who asks.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    parts = [part.strip(" \t") for part in match[1].split(",")]
    parts = [part for part in parts if part]
    found = [_PART.fullmatch(part) for part in parts]
    if not found or any(part is None or part[0] == "-" or _is_backwards(part) for part in found):
        return None
    if len(found) > 1:
        raise RangeError("one range at a time, please")
    (part,) = found
    assert part is not None
    return _span(part[1], part[2], size)


def _is_backwards(part: "re.Match[str]") -> bool:
    return bool(part[1] and part[2]) and _number(part[1]) > _number(part[2])


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        length = min(_number(last), size)
        if length == 0:
            raise RangeError(f"the last 0 bytes of {size} are nothing")
        return Span(size - length, length)
    start = _number(first)
    if start >= size:
        raise RangeError(f"there are {size} bytes")
    end = min(_number(last), size - 1) if last else size - 1
    return Span(start, end - start + 1)


def _number(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
