"""Stops the server at an instant that owes nothing to the callers' event loop.

A loop that was late sends at once what it owed, and a kill that it does next would find all of
it lost, whatever the server does. So a thread stops the process (SIGSTOP), and what had been sent
until then is known; nothing more is read or written by the server, which is killed after that.
"""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ESTABLISHED: Final = "01"
_TABLE: Final = Path("/proc/net/tcp")
#: Sooner than that it stands still, unless it waits for a disk that hangs.
_STOPPED_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Frozen:
    """A server that stands still.

    Attributes:
        at: When it was stopped (``time.monotonic()``).
        unread: Bytes that had come and it had not read, by the port of who sent them.
    """

    at: float
    unread: dict[int, int] = field(default_factory=dict)


def freeze(pid: int, port: int, after_seconds: float) -> Frozen:
    """Wait, then stop the process that listens at ``port``.

    Raises:
        TimeoutError: It does not stop.
    """
    time.sleep(after_seconds)
    at = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    _wait_stopped(pid, at + _STOPPED_SECONDS)
    return Frozen(at, unread_bytes(_TABLE.read_text(encoding="ascii"), port))


def _wait_stopped(pid: int, deadline: float) -> None:
    """A signal is taken a moment after it was sent: until then, the process goes on reading."""
    while _state(pid) != "T":
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} did not stop")
        time.sleep(0.001)


def _state(pid: int) -> str:
    """Of its first thread, which is the one that reads: one letter, ``T`` for stopped."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return stat.rpartition(")")[2].split()[0]


def unread_bytes(table: str, port: int) -> dict[int, int]:
    """What waits to be read at ``port`` of this machine, by the other end's port.

    Args:
        table: As Linux gives it in ``/proc/net/tcp``.
    """
    found = {}
    for line in table.splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        if state == _ESTABLISHED and _port(local) == port:
            found[_port(remote)] = int(queues.partition(":")[2], 16)
    return found


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
