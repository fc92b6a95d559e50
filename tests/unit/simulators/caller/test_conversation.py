"""Scripted calls and the reports they give."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulators.caller.conversation import (
    ExpectEnd,
    ExpectReply,
    HangUp,
    Interrupt,
    Press,
    Say,
    ScriptFailed,
    Step,
    Wait,
    converse,
)
from simulators.caller.heard import Gap
from simulators.caller.leg import TranscriptLine, Violation
from simulators.caller.report import CallReport
from simulators.caller.ticker import RealTicker
from simulators.caller.turns import Turn
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech, tone
from tests.unit.simulators.caller.agent import GREETING_MS, REPLY_MS, Agent
from tests.unit.simulators.caller.app import App


def caller_of(app: App, tmp_path: Path, speed: float = 10) -> VobizCaller:
    return VobizCaller(
        answer_url=f"{app.base}/answer", speech=Speech(tmp_path), ticker=RealTicker(speed=speed)
    )


async def test_a_whole_conversation(tmp_path: Path) -> None:
    played: list[Step] = []
    async with App(on_message=Agent()) as app:
        report = await converse(
            # The faster the call goes, the more a busy machine is late in it.
            caller_of(app, tmp_path, speed=1),
            [
                ExpectReply(),
                Say("hello"),
                ExpectReply(),
                Press("5"),
                ExpectReply(),
                HangUp(),
                Wait(9),
            ],
            on_step=played.append,
        )
    assert [type(step) for step in played] == [
        ExpectReply, Say, ExpectReply, Press, ExpectReply, HangUp
    ]  # fmt: skip
    assert [(turn.kind, turn.text) for turn in report.turns] == [("speech", "hello"), ("key", "5")]
    speech, key = report.responses_ms
    # The agent waits for 200 ms of silence; of those that are late, some come together.
    assert speech >= 100
    assert key >= 0
    assert report.first_audio_ms is not None
    assert report.answer_ms is not None
    assert report.packets_received == (GREETING_MS + 2 * REPLY_MS) // 20
    assert report.bytes_sent > report.packets_sent * 300
    assert report.violations == ()
    assert np.count_nonzero(report.heard) > 0.8 * 8 * (GREETING_MS + 2 * REPLY_MS)


async def test_interrupting_measures_how_soon_the_agent_falls_silent(tmp_path: Path) -> None:
    agent = Agent(clears_on_speech=True)
    agent.greeting_ms = 20_000  # Two seconds: a machine that stands still does not hear its end.
    async with App(on_message=agent) as app:
        report = await converse(
            caller_of(app, tmp_path), [Interrupt("stop please", 600), ExpectReply()]
        )
    (turn,) = report.turns
    assert turn.start_ms >= 600
    assert turn.cut_ms is not None
    assert turn.response_ms is not None
    assert report.gaps == ()


async def test_the_agent_may_end_the_call(tmp_path: Path) -> None:
    async with App(on_message=Agent(stops_after=1)) as app:
        report = await converse(
            caller_of(app, tmp_path), [ExpectReply(), Say("goodbye"), ExpectEnd()]
        )
        assert len(app.posted("StopStream")) == 1
    assert report.close_code == 1000


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([ExpectReply(), ExpectReply(timeout_ms=500)], "step 2, ExpectReply"),
        ([Say("goodbye"), ExpectReply(), Say("still there")], "step 2"),
    ],
)
async def test_a_script_that_fails_says_where_and_shows_the_call(
    tmp_path: Path, steps: list[Step], words: str
) -> None:
    async with App(on_message=Agent(stops_after=1)) as app:
        with pytest.raises(ScriptFailed, match=words) as failed:
            await converse(caller_of(app, tmp_path), steps)
        assert "agent |" in str(failed.value)
        assert len(app.posted("Hangup")) == 1


def report_with(**changes: Any) -> CallReport:
    second = np.zeros(8000, dtype=np.int16)
    said, heard = second.copy(), second.copy()
    said[0:2000] = tone(400, 250, rate_hz=8000, peak_level=16_000)
    heard[4000:6000] = tone(400, 250, rate_hz=8000, peak_level=1000)
    values: dict[str, Any] = {
        "call_id": "c1",
        "dialect": "vobiz",
        "wire_format": "audio/x-mulaw;rate=8000",
        "duration_ms": 1000.0,
        "answer_ms": 12.34,
        "connect_ms": None,
        "first_audio_ms": 41.0,
        "turns": (
            Turn("speech", "hello", 20.0, 250.0, 250.04, 80.0),
            Turn("key", "5", 1, 1, None, None),
        ),
        "gaps": (Gap(600.0, 31.0),),
        "transcript": (TranscriptLine(1.0, "caller", "hello"),),
        "violations": (Violation(3.0, "bad"),),
        "packets_sent": 50,
        "packets_received": 25,
        "bytes_sent": 20_000,
        "bytes_received": 10_000,
        "dropped": 0,
        "close_code": 1000,
        "said": said,
        "heard": heard,
        "said_hz": 8000,
        "heard_hz": 8000,
        "stored": (("recording", "/tmp/r.wav"),),
    }
    return CallReport(**(values | changes))


def test_the_plot_shows_who_spoke_when_how_loud_and_where_it_broke() -> None:
    rows = report_with().plot(width=20, seconds_per_line=1.0).splitlines()
    assert rows[0].strip() == "0.0 s"
    assert rows[1] == f"  caller |{'▇' * 5}{' ' * 15}|"
    agent = rows[2].removeprefix("   agent |").removesuffix("|")
    assert (agent[:10], agent[15:]) == (" " * 10, " " * 5)
    assert set(agent[10:15]) <= set("▂▃▄")
    assert rows[3] == f"     gap  {' ' * 12}!"


def test_a_long_call_is_broken_into_lines() -> None:
    rows = report_with(duration_ms=2500.0).plot(width=20, seconds_per_line=1.0).splitlines()
    assert [row.strip() for row in rows if row.endswith(" s")] == ["0.0 s", "1.0 s", "2.0 s"]


def test_the_text_names_every_turn_gap_and_violation() -> None:
    text = report_with().as_text()
    assert "answered in 12 ms, connected in –, first audio after 41 ms" in text
    assert "“hello”: answered in 250 ms, agent fell silent 80 ms into it" in text
    assert "key 5: no answer" in text
    assert "gaps heard: 1, the longest 31 ms" in text
    assert "not allowed: bad (at 3 ms)" in text
    assert "recording: /tmp/r.wav" in text


def test_the_report_is_json_without_the_audio() -> None:
    body = json.loads(json.dumps(report_with().as_json()))
    assert "said" not in body
    assert body["turns"][0]["response_ms"] == 250.0
    assert body["gaps"] == [{"start_ms": 600.0, "length_ms": 31.0}]
    assert body["stored"] == {"recording": "/tmp/r.wav"}
