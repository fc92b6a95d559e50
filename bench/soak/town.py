"""The server of a soak, everything that it talks to, and how each is taken away."""

import asyncio
import base64
import contextlib
import json
import random
import re
import secrets
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final

from bench.processes import Running, first_line, running, wait_listening
from bench.scenario import CALLER_SAYS, simulator_script, write_agent
from bench.soak.calls import Callers
from bench.soak.clocked import set_clock
from bench.soak.freezing import Frozen, freeze
from bench.soak.gate import Gate, Mode
from bench.soak.ports import steady_port
from bench.soak.watch import Watch
from bench.systems import base_environment
from simulators.backend import BackendSimulator
from simulators.caller.codec import MULAW_8K
from simulators.caller.phrase import prepare_phrase
from simulators.speech import Speech
from storage.base import Storage
from storage.filesystem import FilesystemStorage
from storage.minio import MinioStorage
from tests.minio import s3_server

Tell = Callable[[str], None]

_AGENT: Final = "soak"
_VENDORS: Final = {"deepgram": "stt", "openai": "llm", "cartesia": "tts"}
_PHRASES: Final = 2
_LOOK_SECONDS: Final = 0.02
_PREPARE_SECONDS: Final = 60.0
#: A call whose stream does not come is given up after half of it.
_GIVEN_UP_SECONDS: Final = 60.0
_TRACEBACK: Final = "Traceback (most recent call last)"
_ACTIVE: Final = re.compile(r"^sessions_active (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Town:
    """A server that can be killed, with its store, vendors and backend behind gates.

    Attributes:
        gates: By what is behind them: ``stt``, ``llm``, ``tts``, ``backend`` and, where the
            store is S3, ``store``.
        storage: The store itself, not through its gate.
        server: The process; None while it is dead.
        starts: How often it was started.
    """

    port: int
    folder: Path
    environment: dict[str, str]
    callers: Callers
    gates: dict[str, Gate]
    storage: Storage
    backend: BackendSimulator
    watch: Watch = field(default_factory=Watch)
    server: Running | None = None
    starts: int = 0
    _life: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def journals(self) -> Path:
        """Where calls wait that are not stored."""
        return self.folder / "data" / "journal"

    @property
    def clock(self) -> Path:
        """By how many seconds the server's wall clock is wrong."""
        return self.folder / "clock"

    async def start(self, **changes: str) -> float:
        """Start the server and wait until it takes calls.

        Args:
            changes: Of its environment.

        Returns:
            How many seconds that took.
        """
        self.starts += 1
        set_clock(self.clock, 0.0)
        words = ("-m", "bench.soak.clocked", str(self.clock), "serve", "--port", str(self.port))
        log = self.folder / f"server-{self.starts}.log"
        began = time.monotonic()
        server = self._life.enter_context(
            running(words, log, environment={**self.environment, **changes})
        )
        await asyncio.to_thread(wait_listening, server, self.port)
        self.server = server
        self.watch.begin(server.process.pid)
        return time.monotonic() - began

    async def freeze(self, after_seconds: float) -> Frozen:
        """Stop the server at an instant; what it has not done by then it never does."""
        assert self.server is not None
        return await asyncio.to_thread(freeze, self.server.process.pid, self.port, after_seconds)

    async def kill(self) -> None:
        """SIGKILL, at once."""
        assert self.server is not None
        self.server.process.send_signal(signal.SIGKILL)
        await self._ended()

    async def stop(
        self, sent: signal.Signals = signal.SIGTERM, second_after: float | None = None
    ) -> int:
        """Ask it to end, as an operator does; returns its status.

        Args:
            second_after: Seconds until it is asked again, which is not to wait for calls.
        """
        assert self.server is not None
        process = self.server.process
        process.send_signal(sent)
        if second_after is not None:
            await asyncio.sleep(second_after)
            process.send_signal(sent)
        return await self._ended()

    async def _ended(self) -> int:
        assert self.server is not None
        status = await asyncio.to_thread(self.server.process.wait, 60)
        self.server = None
        self._life.close()
        return status

    async def look(self) -> None:
        """Note what the server costs now, and how late its loop was."""
        with contextlib.suppress(OSError, HTTPException):
            self.watch.look(await asyncio.to_thread(self._metrics))

    def close(self) -> None:
        """End the server, if it lives."""
        self._life.close()

    async def active(self) -> int:
        """Calls that are live in the server; -1 where it does not say."""
        try:
            found = _ACTIVE.search(await asyncio.to_thread(self._metrics))
        except (OSError, HTTPException):
            return -1
        return int(float(found[1])) if found else -1

    def waiting(self) -> int:
        """Journals that are not finished."""
        return _visible(self.journals)

    def answered(self) -> int:
        """Calls that were answered, and have neither a stream nor a record yet."""
        return len(list((self.folder / "data" / "answered").glob("[!.]*/[!.]*.json")))

    def untold(self) -> int:
        """Reports that the backend has not taken."""
        return _visible(self.folder / "data" / "outbox" / "backend", ".json")

    def tracebacks(self) -> int:
        """Errors in the server's logs that nobody had thought of."""
        logs = self.folder.glob("server-*.log")
        return sum(log.read_text(errors="replace").count(_TRACEBACK) for log in logs)

    async def empty(self, within_seconds: float) -> bool:
        """Wait until every journal is finished; whether that came."""
        return await until(lambda: self.waiting() == 0, within_seconds)

    async def given_up(self) -> bool:
        """Wait until calls that rang when the server was killed have their records."""
        return await until(lambda: self.answered() == 0, _GIVEN_UP_SECONDS)

    async def told(self, within_seconds: float) -> bool:
        """Wait until the backend has heard all; whether that came."""
        return await until(lambda: self.untold() == 0, within_seconds)

    def _metrics(self) -> str:
        with urllib.request.urlopen(f"{self.callers.http}/metrics", timeout=5) as answer:
            return str(answer.read().decode())


@asynccontextmanager
async def soak_town(
    folder: Path,
    *,
    s3: bool,
    sealed: bool,
    rng: random.Random,
    tell: Tell = lambda text: None,
) -> AsyncIterator[Town]:
    """Everything but the server itself, which is to be started.

    Args:
        folder: Empty; gets agents, data and logs.
        s3: Keep calls in MinIO (moto where MinIO has not been built), not in files.
        sealed: Encrypt what waits on disk.
    """
    async with AsyncExitStack() as stack:
        key = secrets.token_hex(16)
        backend = await stack.enter_async_context(BackendSimulator(api_key=key))
        script = folder / "vendors.json"
        script.write_text(json.dumps(simulator_script()), encoding="utf-8")
        words = ("-m", "simulators", "all", "--script", str(script))
        vendors = stack.enter_context(running(words, folder / "vendors.log"))
        described = await asyncio.to_thread(first_line, vendors)
        gates = {
            stage: Gate(stage, described[name]["port"], random.Random(rng.random()))
            for name, stage in _VENDORS.items()
        }
        gates["backend"] = Gate("backend", backend.port, random.Random(rng.random()))
        port = steady_port(random.Random())
        environment = {
            **base_environment(),
            **{f"{name.upper()}_API_KEY": secrets.token_hex(16) for name in _VENDORS},
            "INTERNAL_API_KEY": key,
            "AGENTS_DIR": str(folder / "agents"),
            "DATA_DIR": str(folder / "data"),
            "DEFAULT_AGENT": _AGENT,
            "ENVIRONMENT": "development",
            "DRAIN_TIMEOUT": "5",
            "MAX_CONNECTIONS": "200",
            # What others do to this machine meanwhile is no reason to turn calls away.
            "MAX_LOOP_LAG_MS": "5000",
            "MAX_FRAME_LATENESS_MS": "5000",
        }
        if sealed:
            environment["JOURNAL_KEY"] = base64.b64encode(secrets.token_bytes(32)).decode()
        storage: Storage = FilesystemStorage(folder / "data" / "storage")
        if s3:
            store = stack.enter_context(s3_server())
            tell(f"store: {'MinIO' if store.real else 'moto'}")
            gates["store"] = Gate("store", store.port, random.Random(rng.random()))
            storage = MinioStorage(store.options())
        for gate in gates.values():
            await gate.become(Mode.OPEN)
            stack.push_async_callback(gate.close)
        if s3:
            environment |= {
                "STORAGE_KIND": "minio",
                "MINIO_ENDPOINT": f"127.0.0.1:{gates['store'].port}",
                "MINIO_ACCESS_KEY": store.access_key,
                "MINIO_SECRET_KEY": store.secret_key,
            }
        for name, stage in _VENDORS.items():
            variable = f"{name.upper()}_BASE_URL"
            environment[variable] = _moved(described["env"][variable], gates[stage].port)
        environment["VOICERA_BACKEND_URL"] = _moved(backend.base_url, gates["backend"].port)
        stack.push_async_callback(storage.close)
        write_agent(folder / "agents", _AGENT)
        speech = Speech()
        phrases = [prepare_phrase(await speech.say(text), MULAW_8K, text) for text in CALLER_SAYS]
        callers = Callers(f"http://127.0.0.1:{port}", speech, phrases, rng)
        town = Town(port, folder, environment, callers, gates, storage, backend)
        stack.callback(town.close)
        yield town


async def phrases_ready(town: Town) -> None:
    """Wait until the greeting has been made, so that calls are answered as they will be."""
    folder = town.folder / "data" / "phrases"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PREPARE_SECONDS):
            while len(list(folder.glob("*.pcm"))) < _PHRASES:  # noqa: ASYNC110, ASYNC240 - a process
                await asyncio.sleep(0.2)


def _moved(url: str, port: int) -> str:
    """The same address on another port."""
    return re.sub(r":\d+", f":{port}", url, count=1)


def _visible(folder: Path, suffix: str = "") -> int:
    """Entries of a folder that are not hidden; none where there is no folder."""
    try:
        names = [each.name for each in folder.iterdir()]
    except FileNotFoundError:
        return 0
    return sum(not name.startswith(".") and name.endswith(suffix) for name in names)


async def until(condition: Callable[[], bool], within_seconds: float) -> bool:
    """Wait for something that no event tells of; whether it came."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return True
