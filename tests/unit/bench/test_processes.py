"""Processes of a run: started, watched, ended; and the machine they run on."""

import json
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench import __main__ as command
from bench.__main__ import _arguments, _plan
from bench.figures import Figures, Greeting
from bench.machine import Machine, look
from bench.probe import Probe, settle, watch
from bench.processes import BenchError, first_line, free_port, running, wait_listening
from bench.runs import Plan, read_summary

_LISTEN = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
    "sys.stdin = open(0, closefd=False); import signal; signal.pause()"
)


def test_a_process_lives_as_long_as_the_block(tmp_path: Path) -> None:
    port = free_port()
    with running(("-c", _LISTEN, str(port)), tmp_path / "log") as server:
        wait_listening(server, port)
        pid = server.process.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_a_server_that_dies_at_its_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    words = ("-c", "raise SystemExit('no such agent')")
    with (
        running(words, tmp_path / "log") as server,
        pytest.raises(BenchError, match="no such agent"),
    ):
        wait_listening(server, free_port())


def test_the_first_line_of_json_is_found_behind_other_output(tmp_path: Path) -> None:
    code = "print('warning'); print('{\"a\": 1}', flush=True); import signal; signal.pause()"
    with running(("-c", code), tmp_path / "log") as process:
        assert first_line(process) == {"a": 1}


def test_a_process_that_prints_none_and_ends_is_an_error(tmp_path: Path) -> None:
    with running(("-c", "print('oh')"), tmp_path / "log") as process:
        process.process.wait(30)
        with pytest.raises(BenchError, match="oh"):
            first_line(process)


def test_only_the_environment_given_is_passed_on(tmp_path: Path) -> None:
    code = (
        "import json, os; print(json.dumps({'A': os.environ.get('A'), 'H': 'HOME' in os.environ}))"
    )
    with running(("-c", code), tmp_path / "log", environment={"A": "b"}) as process:
        assert first_line(process) == {"A": "b", "H": False}


def test_a_process_can_be_pinned(tmp_path: Path) -> None:
    code = "import signal; signal.pause()"
    with running(("-c", code), tmp_path / "log", core=0) as process:
        assert psutil.Process(process.process.pid).cpu_affinity() == [0]


def test_the_cpu_of_a_process_and_its_children_is_counted() -> None:
    probe = Probe(os.getpid())
    before = probe.cpu_seconds()
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert probe.cpu_seconds() - before > 0.28


def test_memory_held_by_a_process_is_seen() -> None:
    probe = Probe(os.getpid())
    size = 64 * 1024 * 1024
    before = probe.rss_mib()
    # Of the system: an allocator may have room left of what was freed.
    with mmap.mmap(-1, size) as held:
        for page in range(0, size, mmap.PAGESIZE):
            held[page] = 1
        assert probe.rss_mib() - before == pytest.approx(64, abs=8)
    assert probe.rss_mib() - before < 8


def test_connections_are_counted_on_the_servers_side_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        probe = Probe(os.getpid())
        assert probe.connections(port) == 0
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            with accepted:
                assert probe.connections(port) == 1


def test_a_process_at_rest_costs_nothing_and_is_settled(tmp_path: Path) -> None:
    code = "print('{}', flush=True); import signal; signal.pause()"
    with running(("-c", code), tmp_path / "log") as process:
        first_line(process)
        probe = Probe(process.process.pid)
        assert settle(probe)
        (cost,) = watch([probe], 0.2)
    assert cost.cores < 0.5
    assert cost.rss_mib > 1
    assert cost.waited is not None and 0 <= cost.waited < 0.5


def machine(busy_cores: float) -> Machine:
    """A machine of two cores."""
    return Machine(
        cpu="a processor",
        cores=2,
        memory_gib=4.0,
        python="3.11.0",
        load=(0.1, 0.2, 0.3),
        busy_cores=busy_cores,
        busy=(("python", 90.0),),
    )


def test_figures_of_a_shared_machine_are_called_provisional() -> None:
    assert "Provisional" not in machine(0.1).header()
    assert "Provisional: others were using 1.50 cores" in machine(1.5).header()
    assert "python 90 %" in machine(1.5).header()
    assert "load average 0.10 0.20 0.30" in machine(0.1).header()


def test_looking_at_this_machine_finds_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine._WATCH_SECONDS", 0.01)
    seen = look()
    assert seen.cores == psutil.cpu_count()
    assert seen.memory_gib > 0
    assert json.dumps(seen.load)


def test_all_systems_run_at_one_ten_and_twenty_calls_and_ours_at_the_target() -> None:
    given = _arguments([])
    assert list(given.only) == ["ours", "plain", "echo"]
    assert _plan(given, "ours").calls == (1, 10, 20, 24)
    assert _plan(given, "plain").calls == (1, 10, 20)


def test_calls_can_be_chosen_for_all() -> None:
    given = _arguments(["--calls", "3", "4", "--only", "ours", "--pin", "--seconds", "7"])
    plan = _plan(given, "ours")
    assert (plan.calls, plan.pin, plan.window_seconds) == ((3, 4), True, 7.0)


def test_a_quick_run_is_short() -> None:
    plan = _plan(_arguments(["--quick"]), "plain")
    assert (len(plan.calls), plan.greeting) == (1, False)
    assert plan.window_seconds < _plan(_arguments([]), "plain").window_seconds


def test_a_system_that_breaks_does_not_cost_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(key: str, plan: Plan, folder: Path) -> tuple[list[Figures], Greeting | None]:
        if key == "plain":
            raise BenchError("it fell over")
        assert folder.is_dir()
        return [], Greeting(key, 2000.0, 5, 7.0, 8.0)

    monkeypatch.setattr(command, "measure_system", measure)
    monkeypatch.setattr("bench.machine._WATCH_SECONDS", 0.01)
    file = tmp_path / "figures.json"
    status = command.main(["--json", str(file), "--keep", str(tmp_path / "kept")])
    printed = capsys.readouterr()
    assert status == 1
    assert "plain Pipecat bot: missed: it fell over" in printed.err
    assert "- echo: 7 ms (worst 8 ms, 5 calls)" in printed.out
    assert len(json.loads(file.read_text())["greetings"]) == 2


def test_the_summary_is_found_between_warnings() -> None:
    assert read_summary('warn {x}\n{\n  "calls": 2\n}\nlate warning\n') == {"calls": 2}


@pytest.mark.parametrize("text", ["", "Traceback: no }", "{\n broken"])
def test_output_without_a_summary_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_summary(text)
