"""How soon callers who get no line are told so, in bursts: ``python -m bench.refusals``.

    python -m bench.refusals [--rounds 5] [--beside FOLDER] [--pin | --first]

``main.py serve`` with 20 lines and simulated vendors, in a process of its own. Callers are bare
sockets (bench/burst.py), and the same burst at a server that does nothing says what of the times
is their own. With ``--beside`` a second server runs from another checkout of this project, and
bursts go to one and the other in turn. See docs/benchmarks.md.
"""

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench import machine
from bench.burst import Crowd, Manner, Outcome, wait_until
from bench.figures import percentile
from bench.processes import (
    LOOPBACK,
    ROOT,
    BenchError,
    Running,
    first_line,
    free_port,
    running,
    wait_listening,
)
from bench.scenario import CALLER_SAYS, simulator_script
from bench.systems import SYSTEMS

LINES: Final = 20
BURST: Final = 2 * LINES
#: In each round.
_LONE_CALLS: Final = 3
_IDLE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.7
_QUIET_CORES: Final = 0.05
_METRIC: Final = r"^%s (\S+)$"

#: By row of the report, what its callers do.
_EMPTY: Final[dict[str, Manner]] = {
    "empty server, 40 webhooks": "asks",
    "empty server, 40 calls, streams at once": "calls",
    "empty server, 40 sockets, no webhook": "streams",
}
_FULL: Final[dict[str, Manner]] = {
    "20 calls talking, 20 webhooks": "asks",
    "20 calls talking, 20 sockets (503)": "streams",
}
_LONE: Final = "a lone call"
_ECHO: Final = "echo, 40 webhooks"

#: By row, and by who waits for what: milliseconds.
Waits = dict[tuple[str, str], list[float]]
_NO_CORE: Final = "server without a core"


@dataclass(frozen=True, slots=True)
class _Server:
    """One that is measured."""

    name: str
    process: Running
    port: int
    crowd: Crowd

    def without_core_ms(self) -> float:
        """For how long its main thread has been ready to run and had no core, so far."""
        fields = Path(f"/proc/{self.process.process.pid}/schedstat").read_text(encoding="ascii")
        return int(fields.split()[1]) / 1e6

    def burst(self, waits: Waits, row: str, manner: Manner, wanted: dict[Outcome, int]) -> None:
        """One burst, and what its callers waited for.

        Raises:
            BenchError: More or fewer got a line than should.
        """
        without = self.without_core_ms()
        told = self.crowd.burst(sum(wanted.values()), manner)
        waits[row, _NO_CORE].append(self.without_core_ms() - without)
        self.crowd.hang_up(told)
        found = {which: sum(each.outcome == which for each in told) for which in wanted}
        if found != wanted:
            odd = next((each.seen for each in told if each.outcome == "odd"), "")
            wrong = f"{found} of {len(told)} callers, not {wanted}; {odd}"
            raise BenchError(f"{self.name}, {row}: {wrong}")
        for each in told:
            waits[row, f"{each.outcome}: told"].append(each.told_ms)
            if each.sound_ms is not None:
                waits[row, "line: sound"].append(each.sound_ms)

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/metrics", timeout=20) as answer:
            found = re.search(_METRIC % name, answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def idle(self) -> bool:
        """Whether no call is left, nor anything to be done for one."""
        busy = self.metric("sessions_active") or self.metric("spool_files")
        cores = psutil.Process(self.process.process.pid).cpu_percent(0.2) / 100
        return not busy and cores < _QUIET_CORES

    def wait_idle(self) -> None:
        wait_until(self.idle, f"{self.name} has nothing to do", within_seconds=_IDLE_SECONDS)


def _empty_round(server: _Server, waits: Waits) -> None:
    for row, manner in _EMPTY.items():
        server.wait_idle()
        server.burst(waits, row, manner, {"line": LINES, "busy": BURST - LINES})
    for _ in range(_LONE_CALLS):
        server.wait_idle()
        server.burst(waits, _LONE, "calls", {"line": 1})


def _full_rounds(servers: Sequence[_Server], rounds: int, waits: dict[str, Waits]) -> None:
    """All lines are taken, and their callers talk."""
    seconds = rounds * (len(_FULL) * _PAUSE_SECONDS + 0.5) + 5.0
    for server in servers:
        server.wait_idle()
        with _talking(server, seconds):
            wait_until(
                lambda server=server: server.metric("sessions_active") == LINES,  # type: ignore[misc]
                f"{LINES} calls are live",
                within_seconds=_IDLE_SECONDS,
            )
            for _ in range(rounds):
                for row, manner in _FULL.items():
                    time.sleep(_PAUSE_SECONDS)
                    server.burst(waits[server.name], row, manner, {"busy": LINES})
        server.wait_idle()


@contextlib.contextmanager
def _talking(server: _Server, seconds: float) -> Iterator[None]:
    words = ["-m", "simulators.caller.load", "--calls", str(LINES), "--seconds", str(seconds)]
    words += ["--url", f"ws://{LOOPBACK}:{server.port}/voice/bench"]
    for phrase in CALLER_SAYS:
        words += ["--say", phrase]
    with running(words, server.process.log.with_name(f"{server.name}-load.log")):
        yield


def measure(
    trees: dict[str, Path], rounds: int, folder: Path, *, pin: bool, first: bool
) -> tuple[dict[str, Waits], list[float]]:
    """Every burst so many times, at the servers in turn.

    Args:
        trees: Checkouts of this project, by the name in the report.
        folder: Empty; gets their logs and what they store.
        pin: Servers on the first core, all else on the last.
        first: Servers and callers have a core before whatever else runs on this machine.

    Returns:
        The waits at each server, and those at the echo.

    Raises:
        BenchError: A server did not start, or lets in more or fewer than it has lines for.
    """
    far = (psutil.cpu_count() or 1) - 1 if pin else None
    near = 0 if pin else None
    if far is not None:
        psutil.Process().cpu_affinity([far])
    script = folder / "vendors.json"
    script.write_text(json.dumps(simulator_script()), encoding="utf-8")
    waits: dict[str, Waits] = {name: defaultdict(list) for name in trees}
    echoes: list[float] = []
    with contextlib.ExitStack() as life:
        words = ("-m", "simulators", "all", "--script", str(script))
        vendors = life.enter_context(running(words, folder / "vendors.log", core=far))
        variables = first_line(vendors)["env"]
        echo, echo_pid = _start_echo(life, folder, near)
        servers = [
            _start(life, name, tree, folder / name, variables, near) for name, tree in trees.items()
        ]
        if first:
            for pid in (os.getpid(), echo_pid, *(each.process.process.pid for each in servers)):
                _prefer(pid)
        for server in servers:  # The first call of a process loads what all later ones have.
            _warm_up(server)
        for _ in range(rounds):
            echoes += [each.told_ms for each in echo.burst(BURST, "asks")]
            for server in servers:
                _empty_round(server, waits[server.name])
        _full_rounds(servers, rounds, waits)
    return waits, echoes


def _start(
    life: contextlib.ExitStack,
    name: str,
    tree: Path,
    folder: Path,
    variables: dict[str, str],
    core: int | None,
) -> _Server:
    folder.mkdir()
    port = free_port()
    launch = SYSTEMS["ours"][1](port, variables, folder)
    # Who is refused, and who not, is for the lines to say, also on a machine that is not quick.
    limits = {"MAX_LOOP_LAG_MS": "5000", "MAX_FRAME_LATENESS_MS": "5000"}
    environment = {**launch.environment, **limits, "MAX_CONNECTIONS": str(LINES)}
    words = [str(tree / launch.arguments[0]), *launch.arguments[1:]]
    process = life.enter_context(
        running(words, folder / "server.log", environment=environment, core=core)
    )
    wait_listening(process, port)
    return _Server(name, process, port, Crowd(port, launch.path))


def _start_echo(life: contextlib.ExitStack, folder: Path, core: int | None) -> tuple[Crowd, int]:
    port = free_port()
    words = ("-m", "bench.burst_echo", "--port", str(port))
    process = life.enter_context(running(words, folder / "echo.log", core=core))
    wait_listening(process, port)
    return Crowd(port, "/"), process.process.pid


def _prefer(pid: int) -> None:
    """Schedule all threads of a process before those of others (``sched(7)``, ``SCHED_RR``).

    A better ``nice`` would not do: where tasks are grouped by session, it counts in its group.

    Raises:
        BenchError: This user may not.
    """
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))
    except PermissionError as error:
        raise BenchError("--first is for root: others may not go before") from error


def _warm_up(server: _Server) -> None:
    server.wait_idle()
    told = server.crowd.burst(BURST, "calls")
    server.crowd.hang_up(told)


def report(waits: dict[str, Waits], echoes: Sequence[float]) -> str:
    """A table; with two servers, each row also has the first one's p95 over the second one's."""
    names = list(waits)
    first, other = names[0], names[-1]
    head = "| burst | who | server | n | p50 ms | p95 ms | max ms | p95 ÷ beside |"
    lines = [head, "|---|---|---|" + "---:|" * 5]
    for row, who in sorted(waits[first]):
        for name in names:
            found = waits[name][row, who]
            ratio = ""
            if name != other:
                ratio = f"{_at(found, 0.95) / _at(waits[other][row, who], 0.95):.2f}"
            lines.append(_line(row, who, name, found, ratio))
    lines.append(_line(_ECHO, "told", "echo", echoes, ""))
    return "\n".join(lines)


def _line(row: str, who: str, name: str, found: Sequence[float], ratio: str) -> str:
    spread = " | ".join(f"{_at(found, share):.1f}" for share in (0.5, 0.95, 1.0))
    return f"| {row} | {who} | {name} | {len(found)} | {spread} | {ratio} |"


def _at(found: Sequence[float], share: float) -> float:
    value = percentile(found, share)
    assert value is not None, "every row has waits"
    return value


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; status 1 where that could not be done."""
    parser = argparse.ArgumentParser(prog="python -m bench.refusals")
    parser.add_argument("--rounds", type=int, default=5, help="of every burst")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument(
        "--pin", action="store_true", help="servers on the first core, the rest on the last"
    )
    parser.add_argument(
        "--first", action="store_true", help="before all else that runs here (Linux, root)"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and recordings")
    given = parser.parse_args(words)
    trees = {"this": ROOT}
    if given.beside is not None:
        trees["beside"] = given.beside.absolute()
    seen = machine.look()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = given.keep.absolute() if given.keep else Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        try:
            waits, echoes = measure(trees, given.rounds, root, pin=given.pin, first=given.first)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    print(f"{seen.header()}\n\n{report(waits, echoes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
