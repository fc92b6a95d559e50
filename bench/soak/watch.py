"""What the server costs as time goes on, and how late its loop was at worst."""

import contextlib
import re
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import psutil

from bench.probe import MIB

_BUCKETS: Final = {
    name: re.compile(rf'^{name}_bucket{{le="(.*?)"}} (\S+)$', re.MULTILINE)
    for name in ("event_loop_lag_seconds", "full_collection_seconds")
}
#: Shares of a run that are compared to see what grew.
_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at one moment, its children included.

    Attributes:
        life: Which process this was, counted from 1.
    """

    life: int
    rss_mib: float
    threads: int
    descriptors: int


@dataclass(slots=True)
class Watch:
    """Looks at the server now and then.

    Attributes:
        worst_lag_seconds: Upper bound of the histogram's highest bucket with anything in it.
        longest_collection_seconds: The same of the garbage collector's full runs.
    """

    samples: list[Sample] = field(default_factory=list)
    worst_lag_seconds: float = 0.0
    longest_collection_seconds: float = 0.0
    _life: int = 0
    _process: psutil.Process | None = None

    def begin(self, pid: int) -> None:
        """Another process has been started."""
        self._life += 1
        self._process = psutil.Process(pid)

    def look(self, metrics: str) -> None:
        """Take a sample.

        Args:
            metrics: What the server says at ``/metrics``.
        """
        with contextlib.suppress(psutil.Error):
            assert self._process is not None
            family = [self._process, *self._process.children(recursive=True)]
            rss = sum(each.memory_info().rss for each in family) / MIB
            threads = sum(each.num_threads() for each in family)
            descriptors = sum(each.num_fds() for each in family)
            self.samples.append(Sample(self._life, rss, threads, descriptors))
        lag, collection = (_worst(buckets, metrics) for buckets in _BUCKETS.values())
        self.worst_lag_seconds = max(self.worst_lag_seconds, lag)
        self.longest_collection_seconds = max(self.longest_collection_seconds, collection)

    def growth(self) -> dict[str, tuple[float, float]]:
        """Medians of the first and last quarter of the longest life, by what was measured."""
        lives = [each.life for each in self.samples]
        if not lives:
            return {}
        longest = max(set(lives), key=lives.count)
        samples = [each for each in self.samples if each.life == longest]
        part = max(1, len(samples) // _SHARE)
        first, last = samples[:part], samples[-part:]
        return {
            "memory MiB": (_mid([x.rss_mib for x in first]), _mid([x.rss_mib for x in last])),
            "threads": (_mid([x.threads for x in first]), _mid([x.threads for x in last])),
            "descriptors": (
                _mid([x.descriptors for x in first]),
                _mid([x.descriptors for x in last]),
            ),
        }


def _mid(values: list[float] | list[int]) -> float:
    return float(median(values))


def _worst(buckets: re.Pattern[str], metrics: str) -> float:
    below, worst = 0.0, 0.0
    for bound, count in buckets.findall(metrics):
        if float(count) > below:
            below, worst = float(count), float(bound)
    return worst
