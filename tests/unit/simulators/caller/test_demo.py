"""The call that ``main.py call`` places."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from simulators.caller.demo import run_demo_call
from simulators.caller.ticker import RealTicker
from simulators.caller.wire import WireRefused
from simulators.speech import Speech
from tests.unit.simulators.caller.agent import Agent
from tests.unit.simulators.caller.app import App

EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "call_status", "status": "connected"},
    {"type": "transcription", "speaker": "agent", "text": "Wel", "final": False},
    {"type": "transcription", "speaker": "agent", "text": "Welcome.", "final": True},
    {"type": "transcription", "speaker": "caller", "text": "balance please", "final": True},
    {"type": "transcription", "speaker": "agent", "text": "", "final": True},
)


def offer_records(app: App, *, ready_after: int = 2) -> dict[str, list[str]]:
    """Give the application a transcript and a record, stored a little later."""
    seen: dict[str, list[str]] = {"watched": [], "asked": [], "tokens": []}

    async def watch(request: web.Request) -> web.WebSocketResponse:
        seen["watched"].append(request.match_info["id"])
        seen["tokens"].append(request.headers.get("Authorization", ""))
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await app.started()
        await ws.send_str("no json")
        for event in EVENTS:
            await ws.send_json(event)
        await (await app.socket()).closed.wait()
        return ws

    async def call(request: web.Request) -> web.Response:
        seen["asked"].append(request.match_info["id"])
        if len(seen["asked"]) < ready_after:
            return web.json_response({"state": "ending"})
        places = {"recording": "/r.wav", "transcript": "/t.json", "record": "/c.json"}
        return web.json_response({"state": "closed", **places})

    app.app.router.add_get("/ws/transcription/{id}", watch)
    app.app.router.add_get("/api/v1/calls/{id}", call)
    return seen


async def test_a_call_is_shown_while_it_goes_on_and_its_places_at_the_end(tmp_path: Path) -> None:
    lines: list[str] = []
    application = App(on_message=Agent())
    seen = offer_records(application)
    async with application as app:
        report = await run_demo_call(
            app.base,
            "helpline_hi",
            "hi-IN",
            ["नमस्ते", "[5]"],
            lines.append,
            token="a.b.c",
            plot=True,
            speech=Speech(tmp_path),
            ticker=RealTicker(speed=10),
        )
        assert app.posted("StartApp")[0]["agent_id"] == "helpline_hi"
        assert app.webhooks[-1][0] == "/hangup"
    assert seen["watched"] == [report.call_id]
    assert seen["asked"] == [report.call_id] * 2
    assert seen["tokens"] == ["Bearer a.b.c"]
    assert [(each.speaker, each.text) for each in report.transcript] == [
        ("agent", "Welcome."),
        ("caller", "balance please"),
    ]
    text = "\n".join(lines)
    assert re.search(r"s  agent   Welcome\.\n.*s  caller  balance please\n", text)
    assert "Wel\n" not in text
    assert re.search(r"“नमस्ते” answered in \d+ ms", text)
    assert re.search(r"keys 5 answered in \d+ ms", text)
    assert re.search(r"recording +/r\.wav\ntranscript +/t\.json\nrecord +/c\.json", text)
    assert dict(report.stored)["record"] == "/c.json"
    assert re.search(r"first audio \d+ ms after start", text)
    assert lines[-1] == report.plot()


async def test_an_agent_that_hangs_up_and_offers_no_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.caller.demo._WATCH_SECONDS", 0.1)
    monkeypatch.setattr("simulators.caller.demo._STORED_SECONDS", 0.1)
    lines: list[str] = []
    async with App(on_message=Agent(stops_after=1)) as app:
        report = await run_demo_call(
            app.base,
            "a",
            "en-IN",
            ["bye", "never said"],
            lines.append,
            speech=Speech(tmp_path),
            ticker=RealTicker(speed=10),
        )
    text = "\n".join(lines)
    assert "no live transcript" in text
    assert "the agent ended the call" in text
    assert lines[-1] == "record      not stored"
    assert "recording   not stored" in text
    assert [turn.text for turn in report.turns] == ["bye"]


async def test_a_server_that_refuses_the_call_is_an_error(tmp_path: Path) -> None:
    async with App() as app:
        app.refuse_sockets = True
        with pytest.raises(WireRefused, match="403"):
            await run_demo_call(app.base, "a", "en", [], lambda _: None, speech=Speech(tmp_path))
        assert not [task for task in asyncio.all_tasks() if "simulators" in repr(task.get_coro())]
