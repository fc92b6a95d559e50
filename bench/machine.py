"""The machine that a run was made on, and who else was using it."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_WATCH_SECONDS: Final = 1.0
_BUSY_PERCENT: Final = 10.0
_MAX_LISTED: Final = 5
_QUIET_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine just before a run.

    Attributes:
        load: Load average over 1, 5 and 15 minutes.
        busy_cores: How much of all cores was in use by others.
        busy: The busiest processes: name and percent of one core.
    """

    cpu: str
    cores: int
    memory_gib: float
    python: str
    load: tuple[float, float, float]
    busy_cores: float
    busy: tuple[tuple[str, float], ...]

    @property
    def quiet(self) -> bool:
        """Whether nobody else used the machine noticeably."""
        return self.busy_cores < _QUIET_SHARE * self.cores

    def header(self) -> str:
        """One paragraph for the top of a report."""
        load = " ".join(f"{each:.2f}" for each in self.load)
        lines = [
            f"{self.cores} cores ({self.cpu}), {self.memory_gib:.1f} GiB, Python {self.python}; "
            f"load average {load}."
        ]
        if self.quiet:
            lines.append("Nothing else was running.")
        else:
            listed = ", ".join(f"{name} {percent:.0f} %" for name, percent in self.busy)
            lines.append(
                f"Provisional: others were using {self.busy_cores:.2f} cores "
                f"before the first run ({listed})."
            )
        return " ".join(lines)


def look() -> Machine:
    """Watch the machine for a second; nothing of the run may have been started yet."""
    processes = [each for each in psutil.process_iter() if each.pid != os.getpid()]
    psutil.cpu_percent()
    for process in processes:
        _percent(process)
    time.sleep(_WATCH_SECONDS)
    cores = psutil.cpu_count() or 1
    busy_cores = psutil.cpu_percent() / 100 * cores
    percents = sorted(((_name(each), _percent(each)) for each in processes), key=lambda x: -x[1])
    return Machine(
        cpu=_cpu_name(),
        cores=cores,
        memory_gib=psutil.virtual_memory().total / 2**30,
        python=platform.python_version(),
        load=psutil.getloadavg(),
        busy_cores=busy_cores,
        busy=tuple(each for each in percents if each[1] >= _BUSY_PERCENT)[:_MAX_LISTED],
    )


def _percent(process: psutil.Process) -> float:
    try:
        return float(process.cpu_percent())
    except psutil.Error:
        return 0.0


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "?"


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
