"""The client's specification and its examples, held against the dialect.

The examples talk to a server that is nothing but the dialect and an echo.
"""

import asyncio
import json
import re
import shutil
import struct
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from config.errors import WireError
from serializer.client import CLOSE_CODES, ClientDialect
from serializer.messages import AuthRequest, Control, Dtmf, Media, Ping, TextInput

ROOT = Path(__file__).parents[3]
EXAMPLES = {"python": ROOT / "examples/client.py", "javascript": ROOT / "examples/client.mjs"}
SPECIFICATION = ROOT / "docs/client-protocol.md"
TOKEN = "token-of-the-test"


async def echo(socket: ServerConnection) -> None:
    """Send the caller's audio back until it says ``end``."""
    dialect = ClientDialect()
    async for data in socket:
        try:
            message = dialect.decode(data)
        except WireError as error:
            await socket.send(str(dialect.error(error.code, error.message, True)))
            return await socket.close(1008)
        match message:
            case AuthRequest(token=token) if token != TOKEN:
                await socket.send(str(dialect.error("auth_invalid", "who are you?", True)))
                return await socket.close(CLOSE_CODES["auth_invalid"] or 1000)
            case AuthRequest():
                await socket.send(str(dialect.ready("session-1")))
                await socket.send(str(dialect.transcript("agent", "नमस्ते", True)))
            case Media(payload=payload):
                await socket.send(dialect.audio(payload))
            case Control(action="end"):
                await socket.send(str(dialect.status("ended")))
                return await socket.close(1000)
    return None


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serve(echo, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/voice"


@pytest.fixture(scope="module", params=list(EXAMPLES))
def command(request: pytest.FixtureRequest) -> list[str]:
    """How an example is started."""
    if request.param == "python":
        return [sys.executable, str(EXAMPLES["python"])]
    flag = "--experimental-websocket"  # needed by Node 20, allowed since
    node = shutil.which("node")
    if not node or subprocess.run([node, flag, "-e", ""], capture_output=True).returncode:
        pytest.skip("the JavaScript example needs Node 20 or later")
    return [node, flag, str(EXAMPLES["javascript"])]


async def run(command: list[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and error output of one example."""
    process = await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, output.decode(), errors.decode()


def spoken(path: Path, rate_hz: int) -> bytes:
    """Write a WAV file of 50 ms, which is no whole number of packets; returns its samples."""
    pcm = b"".join(struct.pack("<h", place % 3000) for place in range(rate_hz // 20))
    with wave.open(str(path), "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(rate_hz)
        sink.writeframes(pcm)
    return pcm


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
async def test_an_example_speaks_and_hears(
    url: str, tmp_path: Path, command: list[str], rate_hz: int
) -> None:
    source, sink = tmp_path / "spoken.wav", tmp_path / "heard.wav"
    pcm = spoken(source, rate_hz)
    code, output, errors = await run(command, url, TOKEN, str(source), str(sink), "0.1")
    assert (code, output) == (0, "agent: नमस्ते\n"), errors
    with wave.open(str(sink)) as heard:
        assert heard.getframerate() == rate_hz
        samples = heard.readframes(heard.getnframes())
    # 50 ms fill three packets of 20, and 100 ms of silence follow.
    assert samples == pcm.ljust(rate_hz // 25 * 8, b"\0")


async def test_an_example_says_why_it_was_refused(
    url: str, tmp_path: Path, command: list[str]
) -> None:
    source, sink = tmp_path / "spoken.wav", tmp_path / "heard.wav"
    spoken(source, 8000)
    code, output, errors = await run(command, url, "wrong", str(source), str(sink))
    assert code != 0
    assert output == ""
    assert "auth_invalid: who are you?" in errors


@pytest.mark.parametrize("language", EXAMPLES)
def test_the_specification_quotes_the_example(language: str) -> None:
    example = EXAMPLES[language].read_text()
    assert f"```{language}\n{example}```" in SPECIFICATION.read_text()
    assert len(example.splitlines()) < 40


def test_the_specification_lists_every_error_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{4}|stays open) \|", SPECIFICATION.read_text(), re.M)
    documented = {code: None if close == "stays open" else int(close) for code, close in rows}
    assert documented == CLOSE_CODES


def quoted_messages() -> list[dict[str, Any]]:
    """Every message that the specification shows."""
    blocks = re.findall(r"^```json\n(.*?)^```", SPECIFICATION.read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\n ", " ").splitlines()]
    return [json.loads(line) for line in lines]


def test_what_the_specification_has_a_client_send_is_understood() -> None:
    dialect = ClientDialect()
    understood: list[type] = []
    for message in quoted_messages():
        if "timestamp" not in message:
            data = {"data": "AAAA"} if "data" in message else {}
            understood.append(type(dialect.decode(json.dumps(message | data))))
    assert understood == [AuthRequest, Media, Control, TextInput, Dtmf, Ping]


def test_what_the_specification_has_the_server_send_is_what_it_sends() -> None:
    dialect = ClientDialect()
    dialect.decode('{"type":"auth","token":"t"}')
    sent = [
        dialect.ready("session-1"),
        dialect.audio(b"\x00\x00"),
        dialect.transcript("user", "what are your opening", False),
        dialect.language("ta"),
        dialect.status("thinking"),
        dialect.interrupted(),
        dialect.metrics(3, response_ms=412.3, stt_ms=95, llm_ms=180.2, tts_ms=60.1),
        dialect.error("auth_expired", "the token has expired; get a new one", True),
        dialect.pong(),
    ]
    shown = [message for message in quoted_messages() if "timestamp" in message]
    changing = {"session_id", "timestamp", "data"}
    for example, message in zip(shown, map(json.loads, map(str, sent)), strict=True):
        assert example.keys() == message.keys()
        assert {k: v for k, v in example.items() if k not in changing} == {
            k: v for k, v in message.items() if k not in changing
        }
