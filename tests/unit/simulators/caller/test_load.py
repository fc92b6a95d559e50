"""Many calls in one process."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.caller.client_messages import FORMATS
from simulators.caller.load import LoadPlan, main, run_load
from simulators.caller.ticker import RealTicker
from simulators.speech import Speech
from tests.unit.simulators.caller.agent import Agent
from tests.unit.simulators.caller.app import App, Socket


async def test_calls_are_summed_up(tmp_path: Path) -> None:
    async with App(on_message=Agent()) as app:
        plan = LoadPlan(
            answer_url=f"{app.base}/answer",
            calls=4,
            seconds=3.0,
            ramp_seconds=0.05,
            phrases=("hello", "good morning"),
            quiet_ms=300,
        )
        # The faster the call goes, the more of it passes while the machine stands still.
        summary = await run_load(plan, Speech(tmp_path), RealTicker(speed=2))
        assert len(app.posted("Hangup")) == 4
        assert len({fields["From"] for fields in app.posted("StartApp")}) == 4
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["calls"], summary["completed"], summary["failures"]) == (4, 4, {})
    assert summary["turns"] == summary["response_ms"]["count"] >= 4
    # The agent waits for 200 ms of silence; of those that are late, some come together.
    assert summary["response_ms"]["max"] >= 190
    assert summary["response_ms"]["p50"] <= summary["response_ms"]["p95"]
    assert summary["first_audio_ms"]["count"] == summary["answer_ms"]["count"] == 4
    assert summary["violations"] == {}
    assert summary["unanswered"] == 0
    assert summary["caller_cores_per_call"] > 0
    assert summary["caller_late_ms"] >= 0


async def test_client_callers_too(tmp_path: Path) -> None:
    head = {"session_id": "u", "timestamp": 1_793_514_600_123}

    async def echo(socket: Socket, message: dict[str, Any]) -> None:
        if message["type"] == "auth":
            await socket.send(type="ready", formats=list(FORMATS), **head)
        else:
            number, data = message["sequence"], message["data"]
            assert len(base64.b64decode(data)) == 640
            await socket.send(type="audio", sequence=number, data=data, **head)

    async with App(on_message=echo) as app:
        plan = LoadPlan(
            url=app.media_url,
            dialect="client",
            client_format="pcm_16k",
            calls=2,
            seconds=1.0,
            phrases=("hello",),
            greeting=False,
            quiet_ms=100,
            ramp_seconds=0.0,
        )
        summary = await run_load(plan, Speech(tmp_path), RealTicker(speed=10))
    assert summary["completed"] == 2
    assert summary["turns"] >= 2
    assert summary["violations"] == {}


async def test_calls_that_fail_are_told_by_reason(tmp_path: Path) -> None:
    async with App() as app:
        app.refuse_sockets = True
        plan = LoadPlan(url=app.media_url, calls=3, phrases=("hello",), ramp_seconds=0.0)
        summary = await run_load(plan, Speech(tmp_path))
    assert summary["completed"] == 0
    assert summary["failures"] == {"WireRefused: WebSocket refused: HTTP 403 Forbidden": 3}
    assert summary["response_ms"] == {"count": 0, "p50": None, "p95": None, "max": None}


async def test_unanswered_turns_are_counted(tmp_path: Path) -> None:
    async with App() as app:
        plan = LoadPlan(url=app.media_url, seconds=3.0, phrases=("hello",), reply_timeout_ms=400.0)
        summary = await run_load(plan, Speech(tmp_path), RealTicker(speed=3))
    assert summary["completed"] == 1
    assert summary["unanswered"] >= 2
    assert summary["response_ms"]["count"] == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "give --url"),
        (["--dialect", "client", "--answer-url", "http://127.0.0.1"], "give --url"),
        (["--url", "ws://127.0.0.1:1", "--rate-hz", "16000"], "mu-law is sent at 8000"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert complaint in capsys.readouterr().err


def test_the_command_line_prints_json_and_fails_where_calls_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "simulators.caller.load" in sys.modules
    status = main(["--url", "ws://127.0.0.1:9/x", "--say", "hello", "--ramp-seconds", "0"])
    summary = json.loads(capsys.readouterr().out)
    assert status == 1
    assert summary["completed"] == 0
