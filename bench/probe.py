"""What a process costs, as the operating system counts it, with the processes it started."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, Self

import psutil

MIB: Final = 1024 * 1024
_SAMPLE_SECONDS: Final = 0.5
_GONE: Final = (psutil.NoSuchProcess, psutil.ZombieProcess)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stretch of time cost.

    Attributes:
        cores: CPU time over wall time: 1.0 is one core fully used.
        rss_mib: Median of the resident memory.
        waited: Share of the time that its main thread was ready to run and had no core; None
            where the system does not tell.
        seconds: Length of the stretch.
    """

    cores: float
    rss_mib: float
    waited: float | None
    seconds: float


class Probe:
    """Watches a process and its children.

    Args:
        pid: Its id.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._began_at = 0.0
        self._cpu_began = 0.0
        self._waited_began: float | None = None
        self._rss: list[float] = []

    def begin(self) -> Self:
        """Begin a stretch."""
        self._began_at, self._cpu_began = time.monotonic(), self.cpu_seconds()
        self._waited_began = self._waited_seconds()
        self._rss = [self.rss_mib()]
        return self

    def sample(self) -> None:
        """Look at the memory once more."""
        self._rss.append(self.rss_mib())

    def end(self) -> Cost:
        """End the stretch."""
        self.sample()
        seconds = time.monotonic() - self._began_at
        cores = (self.cpu_seconds() - self._cpu_began) / seconds
        waited = self._waited_seconds()
        share = None
        if waited is not None and self._waited_began is not None:
            share = (waited - self._waited_began) / seconds
        return Cost(cores, median(self._rss), share, seconds)

    def cpu_seconds(self) -> float:
        """User and system time so far, of children that have ended too."""
        total = 0.0
        for process in self._family():
            times = process.cpu_times()
            total += times.user + times.system
            total += times.children_user + times.children_system
        return total

    def rss_mib(self) -> float:
        """Resident memory now; pages shared between the processes count in each."""
        return float(sum(process.memory_info().rss for process in self._family())) / MIB

    def connections(self, port: int) -> int:
        """Connections open on a port that the process listens on."""
        return sum(
            each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port
            for each in self._process.net_connections(kind="tcp")
        )

    def _waited_seconds(self) -> float | None:
        """Time on the run queue, from Linux (``proc(5)``: ``schedstat``, second field)."""
        try:
            fields = Path(f"/proc/{self._process.pid}/schedstat").read_text(encoding="ascii")
        except OSError:
            return None
        return int(fields.split()[1]) / 1e9

    def _family(self) -> Iterator[psutil.Process]:
        yield self._process
        for child in self._process.children(recursive=True):
            try:
                child.status()
            except _GONE:
                continue
            yield child


def watch(probes: list[Probe], seconds: float) -> list[Cost]:
    """Watch processes for so long.

    Returns:
        The cost of each, in order.
    """
    deadline = time.monotonic() + seconds
    for probe in probes:
        probe.begin()
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, _SAMPLE_SECONDS))
        for probe in probes:
            probe.sample()
    return [probe.end() for probe in probes]


def settle(probe: Probe, *, cores: float = 0.05, within_seconds: float = 20.0) -> bool:
    """Wait until a process rests.

    Returns:
        Whether it came to rest in time.
    """
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if watch([probe], 2 * _SAMPLE_SECONDS)[0].cores < cores:
            return True
    return False
