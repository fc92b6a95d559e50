"""Simulated vendors as a process."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulators.__main__ import build
from simulators.deepgram import DeepgramSimulator
from simulators.openai import OpenAISimulator, Reply

_TIMEOUT_SECONDS = 30


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """Run ``python -m simulators`` and read what it prints."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            line = await running.stdout.readline()
        yield running, json.loads(line) if line else None
    finally:
        if running.returncode is None:
            running.terminate()
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await running.communicate()


async def test_all_of_them_listen_and_end_with_their_parent(
    key: str, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"openai": {"replies": ["from the script"]}}))
    arguments = ("all", "--script", str(script), "--until-stdin-closes")
    async with process(*arguments) as (running, told):
        assert set(told["env"]) >= {
            "DEEPGRAM_BASE_URL",
            "OPENAI_BASE_URL",
            "AZURE_OPENAI_ENDPOINT",
            "GROQ_BASE_URL",
            "OPENROUTER_BASE_URL",
            "CARTESIA_BASE_URL",
            "INDIC_STT_SERVER_URL",
            "INDIC_TTS_SERVER_URL",
            "KENPATH_VISTAAR_API_URL",
            "BHASHINI_BASE_URL",
            "SARVAM_BASE_URL",
            "VOICERA_BACKEND_URL",
        }
        body = {"model": "any", "messages": [{"role": "user", "content": "x"}]}
        url = f"{told['env']['OPENAI_BASE_URL']}/chat/completions"
        async with http.post(
            url, json=body, headers={"Authorization": f"Bearer {key}"}
        ) as response:
            answer = await response.json()
        assert answer["choices"][0]["message"]["content"] == "from the script"
        async with http.get(f"{told['deepgram']['base_url']}/-/state") as response:
            assert (await response.json())["violations"] == []
        assert running.stdin is not None
        running.stdin.close()
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            assert await running.wait() == 0


@pytest.mark.parametrize("script", ['{"deepgram": {"colour": 1}}', "{", None])
async def test_a_wrong_script_is_told(tmp_path: Path, script: str | None) -> None:
    path = tmp_path / "script.json"
    if script is not None:
        path.write_text(script)
    async with process("deepgram", "--script", str(path)) as (running, told):
        assert told is None
        assert await running.wait() == 2


def test_a_script_may_hold_everything() -> None:
    deepgram = build(
        "deepgram",
        {
            "utterances": ["one", {"text": "a b", "parts": ["a", "b"]}],
            "timing": {"interim_ms": 100},
            "behaviour": {"speed": 0.5},
            "script": [{"refuse_status": 429}],
        },
        0,
    )
    assert isinstance(deepgram, DeepgramSimulator)
    assert deepgram.timing.interim_ms == 100
    assert deepgram.behaviour.speed == 0.5
    assert not deepgram.keep_audio
    replies = {"price": {"tool_calls": [{"name": "get_price"}]}, ".*": "yes"}
    openai = build("openai", {"replies": replies}, 0)
    assert isinstance(openai, OpenAISimulator)
    assert isinstance(openai.replies, dict)
    reply = openai.replies["price"]
    assert isinstance(reply, Reply)
    assert reply.tool_calls[0].name == "get_price"


@pytest.mark.parametrize(
    "options", [{"colour": 1}, {"behaviour": {"speed": -1}}, {"script": [{"x": 1}]}]
)
def test_options_that_do_not_exist_are_errors(options: dict[str, Sequence[Any]]) -> None:
    with pytest.raises(ValueError):
        build("deepgram", options, 0)
