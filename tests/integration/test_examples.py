"""The examples of docs/client-protocol.md, run as a reader would run them."""

import asyncio
import re
import shutil
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from simulators.speech import Speech, Voice
from tests.integration.server import RunningServer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
NODE = shutil.which("node")
RATE_HZ = 16_000
#: The greeting is over by then, on a slow machine too.
SILENCE_BEFORE_SECONDS = 4
#: ... and the answer.
AFTER_SECONDS = "6"
QUESTION = "what are your opening hours"


def spoken(path: Path, speech: Speech) -> Path:
    """The question, once the greeting is over."""
    pcm = speech.pcm(QUESTION, voice=Voice("en-IN"), rate_hz=RATE_HZ)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(bytes(SILENCE_BEFORE_SECONDS * 2 * RATE_HZ) + pcm.tobytes())
    return path


async def run(*command: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def check_talk(code: int, out: str, err: str, heard: Path) -> None:
    assert code == 0, err
    assert "agent: Welcome to the test line." in out
    assert f"user: {QUESTION}" in out
    assert "agent: We open at nine." in out
    with wave.open(str(heard)) as file:
        assert file.getframerate() == RATE_HZ
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(samples) > 2 * RATE_HZ
    assert int(np.abs(samples).max()) > 3000


async def test_python(server: RunningServer, speech: Speech, tmp_path: Path) -> None:
    url, heard = f"{server.ws}/voice", tmp_path / "heard.wav"
    wav = spoken(tmp_path / "spoken.wav", speech)
    script = str(EXAMPLES / "client.py")
    result = await run(
        sys.executable, script, url, server.token(), str(wav), str(heard), AFTER_SECONDS
    )
    check_talk(*result, heard)
    code, _, err = await run(sys.executable, script, url, "wrong", str(wav), str(heard))
    assert code == 1 and "auth_invalid" in err


@pytest.mark.skipif(NODE is None, reason="no Node.js")
async def test_javascript(server: RunningServer, speech: Speech, tmp_path: Path) -> None:
    assert NODE is not None
    _, version, _ = await run(NODE, "--version")
    flags = ["--experimental-websocket"] if version.startswith("v20.") else []
    url, heard = f"{server.ws}/voice", tmp_path / "heard.wav"
    wav = spoken(tmp_path / "spoken.wav", speech)
    command = (NODE, *flags, str(EXAMPLES / "client.mjs"), url)
    result = await run(*command, server.token(), str(wav), str(heard), AFTER_SECONDS)
    check_talk(*result, heard)
    code, _, err = await run(*command, "wrong", str(wav), str(heard))
    assert code == 1 and "auth_invalid" in err


@pytest.mark.parametrize("name", ["client.py", "client.mjs"])
def test_the_page_shows_what_is_run(name: str) -> None:
    page = (ROOT / "docs" / "client-protocol.md").read_text(encoding="utf-8")
    shown = re.findall(r"```(?:python|javascript)\n(.*?)```", page, re.DOTALL)
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    assert source in shown
    assert len(source.splitlines()) < 40
