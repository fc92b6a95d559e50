"""``python -m bench.soak.clocked FILE serve …``: the server, with a wall clock set from outside.

The file holds a number of seconds, as eight bytes, by which the clock is wrong. Only
``time.time`` is: this is what the server takes for its timestamps.
"""

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Final

_SECONDS: Final = struct.Struct("d")


def set_clock(file: Path, wrong_by_seconds: float) -> None:
    """Have the clock of a server that runs be wrong by so much, at once."""
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(_SECONDS.pack(wrong_by_seconds))


def _bend(file: Path) -> None:
    with file.open("rb") as opened:
        wrong_by = mmap.mmap(opened.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    real = time.time

    def bent() -> float:
        seconds: float = _SECONDS.unpack_from(wrong_by)[0]
        return real() + seconds

    time.time = bent


if __name__ == "__main__":
    _bend(Path(sys.argv[1]))
    import main

    sys.exit(main.main(sys.argv[2:]))
