"""The processes of a run: started here, ended here, each by its own id."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).resolve().parents[1]
LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 15.0
_PROBE_SECONDS: Final = 0.1


class BenchError(RuntimeError):
    """A run could not be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process of a run.

    Attributes:
        process: For the operating system.
        log: What it wrote.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def tail(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def running(
    arguments: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    core: int | None = None,
) -> Iterator[Running]:
    """Run ``python …`` from the project's folder for the length of the block.

    Args:
        arguments: What follows ``python``.
        log: Gets both of its outputs.
        environment: All of its variables; those of this process by default.
        core: The only core it may use.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=dict(environment) if environment is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        if core is not None:
            psutil.Process(process.pid).cpu_affinity([core])
        yield Running(process, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def wait_listening(server: Running, port: int) -> None:
    """Wait until ``port`` takes connections.

    Raises:
        BenchError: The process ended, or did not listen in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while not _listens(port):
        if server.process.poll() is not None:
            raise BenchError(f"the server ended at its start:\n{server.tail}")
        if time.monotonic() > deadline:
            raise BenchError(f"the server does not listen on port {port}:\n{server.tail}")
        time.sleep(_PROBE_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def first_line(process: Running) -> dict[str, Any]:
    """The line of JSON that a process prints first.

    Raises:
        BenchError: It ended, or printed nothing in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for line in process.log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                described: dict[str, Any] = json.loads(line)
                return described
        if process.process.poll() is not None:
            break
        time.sleep(_PROBE_SECONDS)
    raise BenchError(f"a process did not start:\n{process.tail}")
