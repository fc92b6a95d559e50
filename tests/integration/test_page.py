"""The page at ``/`` in a real browser: spoken to through a microphone that is a WAV file."""

import asyncio
import json
import os
import re
import secrets
import shutil
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from sessions.tokens import issue_token
from simulators.deepgram import DeepgramSimulator
from simulators.speech import Speech, Voice
from tests.integration.server import RunningServer, running_server

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "browser"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium")
DRIVER = SCRIPTS / "node_modules" / "playwright-core"
RUN_SECONDS = 240.0

QUESTION = "what are your opening hours"
MICROPHONE_HZ = 48_000
#: The greeting is over by then, on a slow machine too.
SILENCE_BEFORE_SECONDS = 4.0

DESK: dict[str, Any] = {
    "name": "Desk",
    "language": "en-IN",
    "greeting": "Hello. How can I help?",
    "stt": {"provider": "offline"},
    "tts": {"provider": "espeak"},
    "llm": {
        "provider": "script",
        "script": {
            "start": "main",
            "intents": {
                "hours": {"samples": [QUESTION], "say": "We are open from nine to six."},
                "story": {
                    "samples": ["tell me a story"],
                    "say": "Once upon a time there was a farmer who had seven fields, and in "
                    "every field there grew another crop, and every crop had its own season, "
                    "and every season had its own song, and the farmer knew all of them.",
                },
            },
            "keys": {"1": {"say": "You pressed one."}},
            "states": {"main": {"say": "Ask for our opening hours."}},
        },
    },
}
#: The offline recogniser has no interim texts; the simulated Deepgram has.
DICTATION = {**DESK, "name": "Dictation", "stt": {"provider": "deepgram"}}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server with two agents and two lines."""
    async with DeepgramSimulator(utterances=[QUESTION]) as deepgram:
        environment = {
            "DEFAULT_AGENT": "desk",
            "MAX_CONNECTIONS": "2",
            "DEEPGRAM_BASE_URL": deepgram.base_url,
            "DEEPGRAM_API_KEY": secrets.token_hex(16),
        }
        agents = {"desk": DESK, "dictation": DICTATION}
        async with running_server(tmp_path / "server", agents, environment) as running:
            yield running


async def _node(home: Path, *scripts: str, **environment: str) -> None:
    """Run test scripts with Node, and fail with what they print."""
    if NODE is None:
        pytest.skip("no Node.js: run `make browser`, which says what to install")
    process = await asyncio.create_subprocess_exec(
        NODE,
        "--test",
        "--test-reporter=tap",
        *(str(SCRIPTS / script) for script in scripts),
        env={"PATH": os.defpath, "HOME": str(home), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.terminate()
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode(errors="replace")
    assert re.search(rb"^# pass [1-9]", output, re.MULTILINE), output.decode(errors="replace")


def _microphone(path: Path, speech: Speech) -> Path:
    pcm = speech.pcm(QUESTION, voice=Voice("en-IN"), rate_hz=MICROPHONE_HZ)
    silence = np.zeros(round(SILENCE_BEFORE_SECONDS * MICROPHONE_HZ), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_HZ)
        file.writeframes(np.concatenate([silence, pcm, silence]).tobytes())
    return path


# Deepgram's package uses names that websockets has deprecated.
@pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")
async def test_page(server: RunningServer, speech: Speech, tmp_path: Path) -> None:
    if CHROMIUM is None or not DRIVER.is_dir():
        pytest.skip("no browser: run `make browser`, which installs it")
    await _node(
        tmp_path,
        "page.test.mjs",
        PAGE_PORT=str(server.port),
        PAGE_SPEECH=str(_microphone(tmp_path / "microphone.wav", speech)),
        PAGE_TOKEN=server.token(),
        PAGE_EXPIRED_TOKEN=issue_token(server.parts.jwt_secret, subject="late", age_seconds=-60),
        CHROMIUM=CHROMIUM,
    )


async def test_parts_of_the_page(tmp_path: Path) -> None:
    await _node(tmp_path, "sound.test.mjs", "protocol.test.mjs")


async def test_page_loads_nothing_from_elsewhere(server: RunningServer) -> None:
    html = {"Accept": "text/html"}
    async with aiohttp.ClientSession(server.http) as client:
        for path in ("/", "/static/app.js", "/static/microphone-worklet.js"):
            async with client.get(path, headers=html) as answer:
                assert answer.status == 200
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'self';" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with client.get("/", headers={"Accept": "application/json"}) as answer:
            assert json.loads(await answer.text())["status"] == "running"
    for file in (ROOT / "web").iterdir():
        addresses = re.findall(r"https?://[\w.]+[^\s\"']*", file.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file
