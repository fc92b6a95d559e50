"""Keeps the agents of a folder, and follows its files while the server runs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loguru import logger

from config.agent import AgentConfig
from config.agent_file import read_agent
from config.errors import ConfigError
from config.folder import Signature, look, require_inside
from config.phone import mask_number, normalise_number
from config.problems import ConfigFileError, Problem
from config.providers import ProviderCatalog
from config.settings import Settings

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class AgentChange:
    """One agent has come, changed or gone; ``agent`` is None when it has gone."""

    kind: Literal["loaded", "changed", "removed"]
    agent_id: str
    agent: AgentConfig | None


@dataclass(slots=True)
class _File:
    """What is known of one file.

    Attributes:
        signature: Of the version that was read last.
        pending: Of a newer version, until it has been seen twice.
        newest: The agent last read without error.
        serving: The agent that calls get; an older one while the newest clashes.
        error: Why the version read last is not serving.
        clash: Why ``newest`` is not.
    """

    signature: Signature | None = None
    pending: Signature | None = None
    newest: AgentConfig | None = None
    serving: AgentConfig | None = None
    error: ConfigError | None = None
    clash: ConfigError | None = None


class AgentStore:
    """The agents of a folder, each in a file of its own.

    A file that is new or changed is read once it has looked the same twice, so that one still
    being written is not taken. A broken one is refused, and what it said before keeps serving.

    Args:
        folder: Where the files are; ``*.json``, ``*.yaml``, ``*.yml``.
        catalog: The providers an agent may name.
        settings: What lies under every agent.
        poll_seconds: Time between two looks.
        sleep: Stands in for ``asyncio.sleep`` in tests.
    """

    def __init__(
        self,
        folder: Path,
        catalog: ProviderCatalog,
        settings: Settings,
        *,
        poll_seconds: float = _POLL_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.folder = folder
        self._catalog = catalog
        self._settings = settings
        self._poll_seconds = poll_seconds
        self._sleep = sleep
        self._files: dict[str, _File] = {}
        self._agents: dict[str, tuple[str, AgentConfig]] = {}
        self._numbers: dict[str, str] = {}
        self._listeners: list[Callable[[AgentChange], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Read all files and begin to follow them.

        Raises:
            ConfigError: The folder cannot be read. Bad files only end up in ``rejects``.
        """
        await self.refresh()
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="agent-store")

    async def stop(self) -> None:
        """Stop following; what was read stays."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def get(self, agent_id: str) -> AgentConfig:
        """The agent as it is now; a later change of its file makes a new one.

        Raises:
            ConfigError: There is none of that id (code ``unknown_agent``).
        """
        agent = self.find(agent_id)
        if agent is None:
            raise ConfigError("there is no agent of that id", code="unknown_agent")
        return agent

    def find(self, agent_id: str) -> AgentConfig | None:
        """The agent as it is now, or None."""
        found = self._agents.get(agent_id)
        return None if found is None else found[1]

    def by_number(self, number: str) -> AgentConfig | None:
        """The agent that answers a telephone number, written in any usual way, or None."""
        try:
            agent_id = self._numbers.get(normalise_number(number))
        except ConfigError:
            return None
        return None if agent_id is None else self.find(agent_id)

    def ids(self) -> tuple[str, ...]:
        """The ids of all agents, sorted."""
        return tuple(sorted(self._agents))

    def file_of(self, agent_id: str) -> Path | None:
        """The file an agent was read from, or None."""
        found = self._agents.get(agent_id)
        return None if found is None else self.folder / found[0]

    @property
    def rejects(self) -> Mapping[str, ConfigError]:
        """Why files, by name, are not serving as they are now written."""
        reasons = {name: file.error or file.clash for name, file in self._files.items()}
        return {name: reason for name, reason in sorted(reasons.items()) if reason is not None}

    @property
    def unequipped(self) -> Mapping[str, ConfigError]:
        """Those of ``rejects`` that never served, and only for want of a key or a package."""
        return {
            name: reason
            for name, reason in self.rejects.items()
            if reason.code == "unequipped" and self._files[name].serving is None
        }

    def subscribe(self, listener: Callable[[AgentChange], None]) -> Callable[[], None]:
        """Have ``listener`` told, on the event loop, of every change from now on.

        Returns:
            Call it to be told no more.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def refresh(self) -> None:
        """Look now, and read what changed without waiting for a second look.

        Raises:
            ConfigError: The folder cannot be read.
        """
        await self._look(settled=True)

    async def poll(self) -> None:
        """One of the looks that are taken all the time.

        Raises:
            ConfigError: The folder cannot be read; the agents stay as they were.
        """
        await self._look(settled=False)

    async def _follow(self) -> None:
        unreadable = False
        while True:
            await self._sleep(self._poll_seconds)
            try:
                await self.poll()
                unreadable = False
            except ConfigError as error:
                if not unreadable:
                    logger.warning("{}", error.message)
                unreadable = True

    async def _look(self, *, settled: bool) -> None:
        async with self._lock:
            seen = await asyncio.to_thread(look, self.folder)
            gone = [name for name in self._files if name not in seen]
            for name in gone:
                del self._files[name]
            due = [name for name, sign in seen.items() if self._is_due(name, sign, settled)]
            if due:
                read = await asyncio.to_thread(self._read, due)
                for name, result in read.items():
                    self._take(name, seen[name], result)
            if due or gone:
                self._publish()

    def _is_due(self, name: str, signature: Signature, settled: bool) -> bool:
        file = self._files.setdefault(name, _File())
        if file.signature == signature:
            file.pending = None
            return False
        if settled or file.pending == signature:
            file.pending = None
            return True
        file.pending = signature
        return False

    def _read(self, names: Iterable[str]) -> dict[str, AgentConfig | ConfigError]:
        """Runs in a thread: it reads and checks files and touches nothing of the store."""
        results: dict[str, AgentConfig | ConfigError] = {}
        for name in names:
            file = self.folder / name
            try:
                require_inside(self.folder, file)
                results[name] = read_agent(file, self._catalog, self._settings)
            except ConfigError as error:
                results[name] = error
        return results

    def _take(self, name: str, signature: Signature, result: AgentConfig | ConfigError) -> None:
        file = self._files[name]
        file.signature = signature
        if isinstance(result, ConfigError):
            file.error = result
            if result.code == "unequipped" and file.serving is None:
                logger.info("agent file needs keys or packages: {}", result.message)
            else:
                logger.warning("agent file refused: {}", result.message)
        else:
            file.error = None
            file.newest = result

    def _publish(self) -> None:
        """Work out anew who serves, those first that served before, and tell of changes."""
        before = {agent_id: agent for agent_id, (_, agent) in self._agents.items()}
        agents: dict[str, tuple[str, AgentConfig]] = {}
        numbers: dict[str, str] = {}
        order = sorted(self._files.items(), key=lambda i: (i[1].newest is not i[1].serving, i[0]))
        for name, file in order:
            clash = None
            chosen = None
            for agent in (file.newest, file.serving):
                if agent is not None and chosen is None:
                    reason = self._clash(name, agent, agents, numbers)
                    chosen = agent if reason is None else None
                    clash = clash or reason
            if clash is not None and file.clash is None:
                logger.warning("agent file refused: {}", clash.message)
            file.serving, file.clash = chosen, clash
            if chosen is not None:
                agents[chosen.agent_id] = (name, chosen)
                numbers.update(dict.fromkeys(chosen.phone_numbers, chosen.agent_id))
        self._agents, self._numbers = agents, numbers
        self._tell(before, {agent_id: agent for agent_id, (_, agent) in agents.items()})

    def _clash(
        self,
        name: str,
        agent: AgentConfig,
        agents: Mapping[str, tuple[str, AgentConfig]],
        numbers: Mapping[str, str],
    ) -> ConfigError | None:
        if agent.agent_id in agents:
            other = agents[agent.agent_id][0]
            message = f"{name} and {other} both have the id {agent.agent_id!r}; rename one"
            return _clash_error(self.folder / name, ("agent_id",), message)
        for i, number in enumerate(agent.phone_numbers):
            if number in numbers:
                other = agents[numbers[number]][0]
                message = f"{name} and {other} both answer {mask_number(number)}; take it from one"
                return _clash_error(self.folder / name, ("phone_numbers", i), message)
        return None

    def _tell(self, before: Mapping[str, AgentConfig], after: Mapping[str, AgentConfig]) -> None:
        changes = [AgentChange("removed", key, None) for key in before if key not in after]
        for key, agent in after.items():
            if key not in before:
                changes.append(AgentChange("loaded", key, agent))
            elif before[key] != agent:
                changes.append(AgentChange("changed", key, agent))
        for change in changes:
            logger.info("agent {}: {}", change.kind, change.agent_id)
            for listener in tuple(self._listeners):
                try:
                    listener(change)
                # A listener's mistake must not keep agents from loading or others from hearing.
                except Exception:
                    logger.exception("a listener failed on agent {}", change.agent_id)


def _clash_error(file: Path, path: tuple[str | int, ...], message: str) -> ConfigError:
    return ConfigFileError(file, [Problem(path=path, message=message)])
