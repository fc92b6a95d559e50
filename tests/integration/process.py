"""``main.py`` as a process of its own, as an operator runs it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from config.settings import load_settings
from sessions.dev_secret import jwt_secret
from sessions.tokens import issue_token
from tests.integration.contents import call_records
from tests.minio import free_port

MAIN = Path(__file__).resolve().parents[2] / "main.py"
START_SECONDS = 60.0
STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that runs beside the test.

    Attributes:
        log: Where its log lines go.
    """

    process: asyncio.subprocess.Process
    port: int
    folder: Path
    env: Mapping[str, str]

    @property
    def http(self) -> str:
        """Base address of its HTTP doors."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Base address of its WebSocket doors."""
        return f"ws://127.0.0.1:{self.port}"

    def token(self) -> str:
        """A token that it accepts."""
        return issue_token(jwt_secret(load_settings(env=self.env)), subject="test")

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self.folder / "log").read_text()

    def records(self) -> list[dict[str, Any]]:
        """Every call record stored on disk."""
        return call_records(self.folder / "data")

    async def exit_code(self) -> int:
        """Wait until it has ended."""
        async with asyncio.timeout(STOP_SECONDS):
            return await self.process.wait()


def environment(folder: Path, agents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Agent files in ``folder``, and the environment with which ``main.py`` finds them."""
    agents_dir = folder / "agents"
    agents_dir.mkdir(parents=True, exist_ok=True)
    for agent_id, content in agents.items():
        (agents_dir / f"{agent_id}.json").write_text(json.dumps(content), encoding="utf-8")
    return {
        "AGENTS_DIR": str(agents_dir),
        "DATA_DIR": str(folder / "data"),
        "DEFAULT_AGENT": next(iter(agents), "default_agent"),
        # What others do to this machine meanwhile is no reason to turn calls away.
        "MAX_LOOP_LAG_MS": "5000",
        "MAX_FRAME_LATENESS_MS": "5000",
    }


async def start(*arguments: str, env: Mapping[str, str], log: Path) -> asyncio.subprocess.Process:
    """Run ``main.py``, without what the test's own environment says of the server."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("wb") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable, str(MAIN), *arguments, env={**kept, **env}, stdout=file, stderr=file
        )


async def is_up(url: str) -> bool:
    """Whether a server takes calls there.

    What a start loads can keep the loop of a busy machine so long that calls are turned away.
    """

    def ask() -> bool:
        try:
            with urlopen(f"{url}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except HTTPError as error:
            error.close()
            return False
        except (URLError, OSError):
            return False

    return await asyncio.to_thread(ask)


@asynccontextmanager
async def server_process(
    folder: Path, agents: Mapping[str, Mapping[str, Any]], env: Mapping[str, str] | None = None
) -> AsyncIterator[ServerProcess]:
    """A server until the block ends."""
    values = {**environment(folder, agents), **(env or {})}
    port = free_port()
    process = await start("serve", "--port", str(port), env=values, log=folder / "log")
    server = ServerProcess(process, port, folder, values)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await is_up(server.http):
                assert process.returncode is None, server.log
                await asyncio.sleep(0.1)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
            with suppress(TimeoutError):
                await server.exit_code()
        if process.returncode is None:
            process.kill()
            await process.wait()
