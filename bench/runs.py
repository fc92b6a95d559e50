"""One system, measured: its processes are started, loaded with calls, watched and ended."""

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.figures import Figures, Greeting, added_mib_per_call, figures_from
from bench.probe import Probe, settle, watch
from bench.processes import (
    BenchError,
    Running,
    first_line,
    free_port,
    running,
    wait_listening,
)
from bench.scenario import CALLER_SAYS, simulator_script
from bench.systems import SYSTEMS, Launch

SLOW_ACCEPT_MS: Final = 2000.0
_RAMP_SECONDS_PER_CALL: Final = 0.2
_SETTLE_SECONDS: Final = 2.5
_MARGIN_SECONDS: Final = 1.5
#: Long enough for the greeting and a turn after it.
_WARM_UP_SECONDS: Final = 4.0
_ECHO_WARM_UP_SECONDS: Final = 1.0
_GREETING_CALLS: Final = 5
#: What mirrors has often sent the last of it by the time the caller listens for an answer.
_ECHO_TIMEOUT_MS: Final = 3000
_CONNECT_SECONDS: Final = 60.0
#: How long the last turns and hanging up may take once no new turns begin.
_END_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure.

    Attributes:
        calls: Numbers of calls at once, in order.
        window_seconds: How long cost is watched while all calls are live.
        greeting: Measure the greeting with slow vendors too.
        pin: Put the server on the first core, and callers and vendors on the last.
        tell: Says how it goes.
    """

    calls: Sequence[int]
    window_seconds: float = 12.0
    greeting: bool = True
    pin: bool = False
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A server that runs, with its vendors."""

    name: str
    launch: Launch
    server: Running
    port: int
    vendors: Running
    ports: tuple[int, ...]
    folder: Path
    pin: bool

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{self.launch.path}"


def measure_system(key: str, plan: Plan, folder: Path) -> tuple[list[Figures], Greeting | None]:
    """Measure one system at every number of calls, in one process of its own.

    Args:
        key: A key of ``SYSTEMS``.
        folder: Empty; gets its logs and what it stores.

    Raises:
        BenchError: It did not start, or the load generator broke.
    """
    with _scene(key, plan, folder) as scene:
        probe = Probe(scene.server.process.pid)
        settle(probe)
        idle_mib = probe.rss_mib()
        one_live_mib = _warm_up(scene, probe)
        settle(probe)
        greeting = None
        if plan.greeting and scene.launch.speaks_first:
            greeting = _measure_greeting(scene)
            settle(probe)
        rows = []
        for calls in plan.calls:
            plan.tell(f"{scene.name}: {calls} calls")
            rows.append(_measure(scene, plan, calls, probe, one_live_mib, idle_mib))
        for complaint in _complaints(scene):
            plan.tell(f"{scene.name}: {complaint}")
        return rows, greeting


@contextlib.contextmanager
def _scene(key: str, plan: Plan, folder: Path) -> Iterator[_Scene]:
    name, prepare = SYSTEMS[key]
    script = folder / "vendors.json"
    script.write_text(json.dumps(simulator_script()), encoding="utf-8")
    vendor_words = ("-m", "simulators", "all", "--script", str(script))
    plan.tell(f"{name}: starting")
    with running(vendor_words, folder / "vendors.log", core=_far_core(plan.pin)) as vendors:
        described = first_line(vendors)
        port = free_port()
        launch = prepare(port, described["env"], folder)
        near = 0 if plan.pin else None
        log = folder / "server.log"
        with running(launch.arguments, log, environment=launch.environment, core=near) as server:
            wait_listening(server, port)
            ports = tuple(described[each]["port"] for each in ("deepgram", "openai", "cartesia"))
            yield _Scene(name, launch, server, port, vendors, ports, folder, plan.pin)


def _far_core(pin: bool) -> int | None:
    return (psutil.cpu_count() or 1) - 1 if pin else None


def _load(scene: _Scene, calls: int, seconds: float) -> contextlib.AbstractContextManager[Running]:
    words = ["-m", "simulators.caller.load", "--url", scene.url, "--calls", str(calls)]
    words += ["--seconds", str(seconds)]
    words += ["--ramp-seconds", str(_RAMP_SECONDS_PER_CALL * calls)]
    for phrase in CALLER_SAYS:
        words += ["--say", phrase]
    if not scene.launch.speaks_first:
        words += ["--no-greeting", "--reply-timeout-ms", str(_ECHO_TIMEOUT_MS)]
    return running(words, scene.folder / "load.log", core=_far_core(scene.pin))


def _warm_up(scene: _Scene, probe: Probe) -> float:
    """One call before all others; returns the memory with it live, in MiB."""
    seconds = _WARM_UP_SECONDS if scene.launch.speaks_first else _ECHO_WARM_UP_SECONDS
    with _load(scene, 1, seconds) as load:
        _wait_connected(scene, probe, load, 1)
        cost = watch([probe], seconds)[0]
        summary = _summary(load)
    if summary["completed"] < 1:
        raise BenchError(
            f"{scene.name} fails with a single call: {summary['failures']}\n{scene.server.tail}"
        )
    return max(cost.rss_mib, probe.rss_mib())


def _measure_greeting(scene: _Scene) -> Greeting:
    _slow_down(scene, SLOW_ACCEPT_MS)
    with _load(scene, _GREETING_CALLS, 0.0) as load:
        summary = _summary(load)
    _slow_down(scene, 0.0)
    first = summary["first_audio_ms"]
    is_whole = first["count"] == _GREETING_CALLS
    return Greeting(
        scene.name,
        SLOW_ACCEPT_MS,
        _GREETING_CALLS,
        first["p50"],
        first["max"] if is_whole else None,
    )


def _measure(
    scene: _Scene, plan: Plan, calls: int, probe: Probe, one_live_mib: float, idle_mib: float
) -> Figures:
    talk_seconds = (
        _RAMP_SECONDS_PER_CALL * calls + _SETTLE_SECONDS + plan.window_seconds + _MARGIN_SECONDS
    )
    cpu_began = probe.cpu_seconds()
    with _load(scene, calls, talk_seconds) as load:
        _wait_connected(scene, probe, load, calls)
        time.sleep(_SETTLE_SECONDS)
        others = [Probe(each.process.pid) for each in (scene.vendors, load)]
        server, *other = watch([probe, *others], plan.window_seconds)
        steady = probe.connections(scene.port) >= calls and load.process.poll() is None
        summary = _summary(load)
    settle(probe)
    return figures_from(
        scene.name,
        summary,
        cores=server.cores,
        whole_cpu_seconds=probe.cpu_seconds() - cpu_began,
        mib_per_call=added_mib_per_call(calls, server.rss_mib, one_live_mib, idle_mib),
        steady=steady,
        other_cores=sum(each.cores for each in other),
        waited=server.waited,
    )


def _wait_connected(scene: _Scene, probe: Probe, load: Running, calls: int) -> None:
    """Wait until all calls are there, or so long that they won't be."""
    deadline = time.monotonic() + _CONNECT_SECONDS
    while probe.connections(scene.port) < calls:
        if load.process.poll() is not None or time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)


def _summary(load: Running) -> dict[str, Any]:
    """What the load generator printed at its end."""
    try:
        load.process.wait(_CONNECT_SECONDS + _END_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BenchError("the calls did not end") from error
    try:
        return read_summary(load.log.read_text(errors="replace"))
    except ValueError as error:
        raise BenchError(f"the load generator broke:\n{load.tail}") from error


def read_summary(text: str) -> dict[str, Any]:
    """The JSON in what the load generator wrote, warnings before and after it left out.

    Raises:
        ValueError: There is none.
    """
    summary: dict[str, Any] = json.loads(text[text.find("{\n") : text.rfind("}") + 1])
    return summary


def _complaints(scene: _Scene) -> Iterator[str]:
    """What the vendors were sent that no correct client sends, one example each."""
    for port in scene.ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/state", timeout=10) as answer:
            state = json.load(answer)
        if state["violations"]:
            yield (
                f"{state['vendor']} complains {len(state['violations'])} times, such as: "
                + (state["violations"][0])
            )


def _slow_down(scene: _Scene, accept_ms: float) -> None:
    body = json.dumps({"behaviour": {"accept_delay_ms": accept_ms}}).encode()
    for port in scene.ports:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/-/behaviour", body)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
