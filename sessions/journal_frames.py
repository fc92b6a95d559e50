"""Reads ``media.log`` as far as it can be read, and says how much of it could not be.

A header that is none, or a length that leads to none, is damage: what follows is searched for the
next frames, so that a bad block costs what it held and no more. What a crash tore off at the end
of the file is no damage; it is read as far as it goes.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sessions.journal_format import (
    CALLER,
    CUT,
    FRAME,
    FRAME_BYTES,
    LONGEST_MS,
    MAX_PAYLOAD_BYTES,
    FileDamage,
    open_media,
)
from sessions.journal_seal import ClearFile

#: Kind, time in ms, offset and length of the payload.
Frame = tuple[int, float, int, int]

_WINDOW_BYTES = 64 * 1024
#: What seems to be a frame after damage is believed if so many follow, or the file's end.
_CHAIN_FRAMES = 4
#: Frames are written in the order of the call, but for an agent's, which are due later.
_BACK_MS = 60_000.0
#: Smaller times than this, save zero, are bytes of something else.
_LEAST_MS = 1e-9
#: Of no packet is more sent at once (messages are at most 64 KiB).
_LONGEST_PACKET_BYTES = 64 * 1024
#: A header as it is written: kind, length below 4 MiB, and a time of 0 or 1 ns to 12 days.
_HEADER = re.compile(rb"(?s)(?=[\x01-\x03]..[\x00-\x40]\x00.{7}[\x00\x3e-\x41])")


def read_frames(folder: Path, damage: FileDamage | None = None) -> Iterator[Frame]:
    """Walk ``media.log`` without keeping it.

    Args:
        damage: Counts what could not be read.
    """
    try:
        file = open_media(folder)
    except FileNotFoundError:
        return
    damage = FileDamage() if damage is None else damage
    with file:
        damage.lost_bytes += file.lost_bytes
        damage.torn_bytes += file.torn_bytes
        yield from _walk(_Window(file), damage)


class _Window:
    """The file by pieces. Reading them also lets other threads run."""

    def __init__(self, file: ClearFile) -> None:
        self.size = file.size
        self._file = file
        self._base = 0
        self._data = b""

    def header(self, at: int) -> tuple[int, int, float]:
        """Kind, length and time at ``at``, where a header's bytes are."""
        begin = at - self._base
        if begin < 0 or begin + FRAME_BYTES > len(self._data):
            self._data, self._base = self._file.read(_WINDOW_BYTES, at), at
            begin = 0
            if len(self._data) < FRAME_BYTES:
                return 0, 0, 0.0
        return FRAME.unpack_from(self._data, begin)

    def find(self, at: int, end: int) -> int | None:
        """Where the next frames begin that lead on, from ``at`` on."""
        while at + FRAME_BYTES <= end:
            piece = self._file.read(min(_WINDOW_BYTES, end - at), at)
            for found in _HEADER.finditer(piece):
                if self._leads_on(at + found.start()):
                    return at + found.start()
            # A header may lie across the edge.
            at += max(1, len(piece) - FRAME_BYTES + 1)
        return None

    def _leads_on(self, at: int) -> bool:
        latest = None
        for number in range(_CHAIN_FRAMES):
            if at + FRAME_BYTES > self.size:
                return number > 0
            kind, length, at_ms = self.header(at)
            if not _is_frame(kind, length, at_ms) or length > _LONGEST_PACKET_BYTES:
                return False
            if (kind == CUT) is (length > 0) or (latest is not None and at_ms < latest - _BACK_MS):
                return False
            latest = at_ms
            at += FRAME_BYTES + length
            if at > self.size:
                return number > 0
        return True


def _is_frame(kind: int, length: int, at_ms: float) -> bool:
    return (
        CALLER <= kind <= CUT
        and length <= MAX_PAYLOAD_BYTES
        and (at_ms == 0.0 or _LEAST_MS <= abs(at_ms) <= LONGEST_MS)
    )


def _walk(window: _Window, damage: FileDamage) -> Iterator[Frame]:
    at, size = 0, window.size
    #: Its length is believed once it has led to another frame, or to the end.
    held: Frame | None = None
    while at + FRAME_BYTES <= size:
        kind, length, at_ms = window.header(at)
        start = at + FRAME_BYTES
        if _is_frame(kind, length, at_ms) and (
            start + length <= size or window.find(start, size) is None
        ):
            if held is not None:
                yield held
            if start + length > size:
                damage.torn_bytes += size - at
            held = kind, at_ms, start, min(length, size - start)
            at = start + length
            continue
        found = window.find(held[2] if held is not None else at + 1, size)
        next_at = size if found is None else found
        if held is not None:
            yield *held[:3], min(held[3], next_at - held[2])
        held = None
        damage.lost_bytes += max(next_at - at, FRAME_BYTES)
        at = next_at
    if held is not None:
        yield held
    if at < size:
        damage.torn_bytes += size - at
