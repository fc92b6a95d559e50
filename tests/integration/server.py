"""The real application on a real socket, in the test's own event loop."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from api.app import create_app
from api.parts import ServerParts
from api.serve import PING_SECONDS, server_config
from config.providers import ProviderCatalog
from config.settings import load_settings
from services.registry import catalog
from sessions.tokens import issue_token
from simulators.caller.client import ClientCaller
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech
from storage.index.entry import IndexedCall
from tests.integration.contents import call_records
from tests.until import until

#: A keyless English agent whose every sentence is short, so that a call takes seconds.
BRISK_AGENT: dict[str, Any] = {
    "name": "Brisk",
    "language": "en-IN",
    "greeting": "Welcome to the test line.",
    # A busy machine answers late; what is said to those who wait is tested elsewhere.
    "turns": {"end_of_speech_ms": 200, "hold_after_seconds": 10},
    "stt": {"provider": "offline"},
    "tts": {"provider": "espeak"},
    "llm": {
        "provider": "script",
        "script": {
            "start": "main",
            "intents": {
                "hours": {
                    "samples": ["what are your opening hours", "opening hours"],
                    "say": "We open at nine.",
                },
                "story": {
                    "samples": ["tell me a long story"],
                    "say": "Once upon a time there was a farmer who had seven fields, and in "
                    "every field there grew another crop, and every crop had its own season.",
                },
                "goodbye": {"samples": ["goodbye"], "say": "Goodbye, and thank you.", "end": True},
            },
            "keys": {"1": {"say": "You pressed one."}, "9": {"say": "Bye.", "end": True}},
            "states": {
                "main": {
                    "say": "How can I help?",
                    "no_match": ["Please say that again."],
                    "no_input": ["Are you still there?"],
                }
            },
        },
    },
}


#: What a machine that is busy with other things brings about: the callers of a test and most of
#: its vendors share the server's event loop and two cores with everything else.
BUSY_KINDS = frozenset({"underrun", "slow_answer", "blocked"})
#: For the same reason added to limits of time, which are of a machine that does nothing else.
BUSY_SECONDS = 5.0


def faults(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What went wrong in a call, but for what a busy machine brings about."""
    return [each for each in record["degraded"] if each["kind"] not in BUSY_KINDS]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that a test talks to."""

    port: int
    parts: ServerParts
    data_dir: Path
    agents_dir: Path

    @property
    def http(self) -> str:
        """Base address of its HTTP doors."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Base address of its WebSocket doors."""
        return f"ws://127.0.0.1:{self.port}"

    def token(self, agent: str = "*") -> str:
        """A token that it accepts."""
        return issue_token(self.parts.jwt_secret, subject="test", agent=agent)

    def phone(self, speech: Speech, agent: str = "brisk", **options: Any) -> VobizCaller:
        """Somebody who will call ``agent`` by telephone."""
        return VobizCaller(
            answer_url=f"{self.http}/answer?agent_id={agent}",
            hangup_url=f"{self.http}/hangup",
            speech=speech,
            **options,
        )

    def program(self, speech: Speech, **options: Any) -> ClientCaller:
        """A client program that will connect."""
        token = options.pop("token", None) or self.token()
        return ClientCaller(f"{self.ws}/voice", token=token, speech=speech, **options)

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait for something that the server does by itself."""
        await until(condition, seconds)

    def records(self) -> list[dict[str, Any]]:
        """Every call record stored on disk, oldest first."""
        return sorted(call_records(self.data_dir), key=lambda record: record["started_at"])

    async def one_record(self) -> dict[str, Any]:
        """The record of the only call, once it has been stored."""
        await self.parts.manager.settled()
        (record,) = self.records()
        return record

    async def put_in_index(self, calls: Sequence[IndexedCall]) -> None:
        """List calls that nobody placed.

        An index that has just been made is first compared with the store, in which they are not.
        """
        await self.until(lambda: self.parts.indexer.state == "ok")
        await self.parts.index.put(calls)

    def stored(self, file: Mapping[str, Any]) -> bytes:
        """A file that a record names."""
        return Path(self.data_dir, "storage", file["kind"], file["key"]).read_bytes()


@asynccontextmanager
async def running_server(
    folder: Path,
    agents: Mapping[str, Mapping[str, Any]],
    env: Mapping[str, str] | None = None,
    *,
    providers: ProviderCatalog = catalog,
    ping_seconds: float = PING_SECONDS,
    changes: Mapping[str, object] | None = None,
) -> AsyncIterator[RunningServer]:
    """Serve ``agents`` (id to file content) until the block ends.

    Args:
        folder: Empty; agents and data go here.
        env: Stands for the environment.
        providers: Whom agents may name.
        ping_seconds: Between WebSocket pings.
        changes: Settings that no environment variable has.
    """
    agents_dir, data_dir = folder / "agents", folder / "data"
    agents_dir.mkdir(parents=True)
    for agent_id, content in agents.items():
        (agents_dir / f"{agent_id}.json").write_text(json.dumps(content), encoding="utf-8")
    settings = load_settings(
        env={
            "AGENTS_DIR": str(agents_dir),
            "DATA_DIR": str(data_dir),
            # Callers and their speech share the server's loop here.
            "MAX_LOOP_LAG_MS": "5000",
            "MAX_FRAME_LATENESS_MS": "5000",
            **(env or {}),
        }
    )
    settings = settings.changed(changes or {})
    app = create_app(settings, providers)
    # For the same reason: what stands still is the test.
    app.state.parts._loop_watch._blocked_seconds = 5.0
    config = server_config(app, settings, loop="none", ping_seconds=ping_seconds)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the server ended before it had started")
            await asyncio.sleep(0.02)
        yield RunningServer(port, app.state.parts, data_dir, agents_dir)
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 60)
