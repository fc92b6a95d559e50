"""Agents that VoiceERA's backend keeps, and no file here has.

An agent is asked for by its id or its telephone number when a call wants it, once for all who
wait. What the backend says is read and checked as a file would be, and kept in memory and on
disk: a backend that is away, or says something that cannot be used, leaves the last good agent
serving, also after a restart. Only its word that there is no such agent takes one away.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from loguru import logger

from config.agent import AGENT_ID_PATTERN, AgentConfig
from config.agent_file import build_agent
from config.documents import Document, parse_document
from config.errors import BackendError, ConfigError
from config.phone import normalise_number
from config.problems import ConfigFileError, Problem
from config.providers import ProviderCatalog
from config.settings import Settings
from services.backend.kept_agents import KeptAgents, Wanted
from services.backend.routes import BackendClient

#: How long "there is no such agent" holds.
ABSENT_SECONDS: Final = 30.0
#: How long a backend that failed is left alone, for one agent.
FAILED_SECONDS: Final = 5.0
#: How long a call waits to have an agent renewed that it could also use as it is.
RENEW_SECONDS: Final = 0.3
#: Agents, and ids that nobody has, that are remembered.
MAX_ENTRIES: Final = 1000
#: Ids come from whoever can reach the doors: the backend hears of a few at a time only.
MAX_ASKED: Final = 16

OnFetch = Callable[[str], None]
#: Told the id, and the agent that serves from now on or None where it is gone.
OnChange = Callable[[str, AgentConfig | None], None]


@dataclass(slots=True)
class _Entry:
    """What is known of one agent.

    Attributes:
        agent: As it serves; None where there is none, or was never one.
        content: What the backend said when it said ``agent``.
        due_at: When it is to be asked again.
        failing: Why the last try failed; it has been said.
        error: Why what the backend says now cannot be used.
        loading: The look at the disk.
        task: The try that goes on.
    """

    agent: AgentConfig | None = None
    content: bytes = b""
    due_at: float = float("-inf")
    failing: str | None = None
    error: ConfigError | None = None
    loading: "asyncio.Task[None] | None" = None
    task: "asyncio.Task[None] | None" = None


class BackendAgents:
    """The backend's agents, as far as calls have asked for them.

    Args:
        catalog: The providers that an agent may name.
        settings: What lies under every agent, and how long is waited.
        backend: Whom to ask.
        folder: Where the last good ones are kept; made when the first comes.
        load: Imports what an agent needs, in a thread, so that no call waits for that.
        on_fetch: Told how each fetch ended: ``found``, ``absent``, ``invalid`` or an error's code.
        on_change: Told of every agent that comes, changes or goes.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        catalog: ProviderCatalog,
        settings: Settings,
        backend: BackendClient,
        folder: Path,
        *,
        load: Callable[[AgentConfig], None] = lambda agent: None,
        on_fetch: OnFetch = lambda outcome: None,
        on_change: OnChange = lambda agent_id, agent: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._backend = backend
        self._kept = KeptAgents(folder, MAX_ENTRIES)
        self._load_packages = load
        self._on_fetch = on_fetch
        self._on_change = on_change
        self._clock = clock
        self._entries: OrderedDict[Wanted, _Entry] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked = 0

    def start(self) -> None:
        """Begin to take up the agents that an earlier process kept, so that they are at hand."""
        self._spawn(self._take_up(), "agents-take-up")

    async def find(self, agent_id: str) -> AgentConfig | None:
        """The agent of an id; None where there is none, or none could be had in time."""
        if re.fullmatch(AGENT_ID_PATTERN, agent_id) is None:
            return None
        return await self._find(Wanted("id", agent_id))

    async def by_number(self, number: str) -> AgentConfig | None:
        """The agent that answers a telephone number, written in any usual way."""
        try:
            return await self._find(Wanted("number", normalise_number(number)))
        except ConfigError:
            return None

    @property
    def rejects(self) -> Mapping[str, ConfigError]:
        """Why agents, by what they were asked by, cannot be used as the backend has them now."""
        return {
            f"backend:{wanted}": entry.error
            for wanted, entry in self._entries.items()
            if entry.error is not None
        }

    async def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _find(self, wanted: Wanted) -> AgentConfig | None:
        entry = self._known(wanted)
        if entry.loading is not None:
            await asyncio.wait([entry.loading])
        task = self._renew(wanted, entry)
        if task is not None:
            longest = self._settings.backend.agents_wait_seconds
            await asyncio.wait(
                [task], timeout=longest if entry.agent is None else min(RENEW_SECONDS, longest)
            )
        return entry.agent

    def _known(self, wanted: Wanted) -> _Entry:
        """What is known of an agent; the look at the disk begins with the first question."""
        entry = self._entries.get(wanted)
        if entry is None:
            entry = self._entries[wanted] = _Entry()
            entry.loading = self._spawn(self._load(wanted, entry), "agent-load")
            self._forget_oldest()
        else:
            self._entries.move_to_end(wanted)
        return entry

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _renew(self, wanted: Wanted, entry: _Entry) -> "asyncio.Task[None] | None":
        """The try that goes on, or one that begins because it is due."""
        if entry.task is None and self._clock() >= entry.due_at:
            if self._asked >= MAX_ASKED:
                return None
            self._asked += 1
            entry.task = self._spawn(self._fetch(wanted, entry), "agent-fetch")
        return entry.task

    # -- what was kept ------------------------------------------------------------------

    async def _take_up(self) -> None:
        for wanted in await self._kept.latest():
            loading = self._known(wanted).loading
            if loading is not None:
                await asyncio.wait([loading])

    async def _load(self, wanted: Wanted, entry: _Entry) -> None:
        """Take the last good one of an earlier process, until the backend has said more."""
        try:
            content = await self._kept.read(wanted)
            agent = await asyncio.to_thread(self._read, wanted, content)
        except FileNotFoundError:
            return
        except (OSError, ConfigError) as error:
            logger.warning(f"the agent {wanted} that was kept cannot be used: {error}")
            return
        finally:
            entry.loading = None
        entry.content = content
        self._serve(entry, agent)

    # -- asking -------------------------------------------------------------------------

    async def _fetch(self, wanted: Wanted, entry: _Entry) -> None:
        outcome = None
        try:
            outcome = await self._ask(wanted, entry)
        except BackendError as error:
            outcome = error.code
            self._failed(wanted, entry, error.message)
        # Nobody awaits this task for its result; a mistake must not be asked for in a circle.
        except Exception as error:
            outcome = "backend_crashed"
            logger.exception(f"asking the backend for the agent {wanted} failed")
            self._failed(wanted, entry, type(error).__name__)
        finally:
            self._asked -= 1
            entry.task = None
            if outcome is not None:
                self._on_fetch(outcome)

    async def _ask(self, wanted: Wanted, entry: _Entry) -> str:
        if wanted.by == "id":
            content = await self._backend.agent_by_id(wanted.value)
        else:
            content = await self._backend.agent_by_number(wanted.value)
        ttl_seconds = self._settings.backend.agents_ttl_seconds
        if content is None:
            entry.due_at = self._clock() + min(ABSENT_SECONDS, ttl_seconds)
            entry.failing, entry.error, entry.content = None, None, b""
            self._serve(entry, None)
            await self._kept.keep(wanted, None)
            return "absent"
        if content == entry.content and entry.agent is not None:
            self._well(wanted, entry)
            return "found"
        try:
            agent = await asyncio.to_thread(self._read, wanted, content)
        except ConfigError as error:
            self._refused(wanted, entry, error)
            return "invalid"
        self._well(wanted, entry)
        entry.content = content
        self._serve(entry, agent)
        self._share(wanted, entry)
        await self._kept.keep(wanted, content)
        return "found"

    def _read(self, wanted: Wanted, content: bytes) -> AgentConfig:
        """Runs in a thread. What came from the backend is checked like a file.

        Raises:
            ConfigError: It cannot be used.
        """
        source = Path(f"backend:{wanted}.json")
        try:
            document = parse_document(content.decode("utf-8"), source)
        except UnicodeDecodeError:
            raise ConfigFileError(source, [Problem(path=(), message="is not UTF-8")]) from None
        # Its lines mean nothing to anybody: it comes as one.
        agent = build_agent(Document(source, document.data), self._catalog, self._settings)
        if wanted.by == "id" and agent.agent_id != wanted.value:
            message = f"is {agent.agent_id!r}, and was asked for as {wanted.value!r}"
            raise ConfigFileError(source, [Problem(path=("agent_id",), message=message)])
        self._load_packages(agent)
        return agent

    # -- what came of it ----------------------------------------------------------------

    def _well(self, wanted: Wanted, entry: _Entry) -> None:
        if entry.failing is not None:
            logger.info(f"the backend gives the agent {wanted} again")
        entry.failing, entry.error = None, None
        entry.due_at = self._clock() + self._settings.backend.agents_ttl_seconds

    def _refused(self, wanted: Wanted, entry: _Entry, error: ConfigError) -> None:
        if entry.error is None or entry.error.message != error.message:
            rest = "its last good version serves" if entry.agent is not None else "it cannot serve"
            logger.warning("agent of the backend refused, {}: {}", rest, error.message)
        entry.error, entry.failing = error, None
        entry.due_at = self._clock() + min(
            ABSENT_SECONDS, self._settings.backend.agents_ttl_seconds
        )

    def _failed(self, wanted: Wanted, entry: _Entry, why: str) -> None:
        if entry.failing is None:
            rest = "its last version serves" if entry.agent is not None else "there is none yet"
            logger.warning(f"the agent {wanted} could not be fetched: {why}; {rest}")
        entry.failing = why
        entry.due_at = self._clock() + FAILED_SECONDS

    def _serve(self, entry: _Entry, agent: AgentConfig | None) -> None:
        before, entry.agent = entry.agent, agent
        if agent == before:
            # A bot that was made ready is used only for the very agent that it was made for.
            entry.agent = before
            return
        told = agent or before
        if told is not None:
            logger.info(f"agent of the backend {'loaded' if agent else 'gone'}: {told.agent_id}")
            self._on_change(told.agent_id, agent)

    def _share(self, wanted: Wanted, entry: _Entry) -> None:
        """A stream names the agent of a number by its id a moment later: it is known by then."""
        if wanted.by == "id" or entry.agent is None:
            return
        own = self._entries.setdefault(Wanted("id", entry.agent.agent_id), _Entry())
        if own.agent is None and own.task is None and own.loading is None:
            own.agent, own.content, own.due_at = entry.agent, entry.content, entry.due_at
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Ids that nobody has go first: strangers may ask for many.

        One that is still being asked about may go too: whoever waits for it has it in hand.
        """
        while len(self._entries) > MAX_ENTRIES:
            empty = (wanted for wanted, entry in self._entries.items() if entry.agent is None)
            gone = self._entries.pop(next(empty, next(iter(self._entries)))).agent
            if gone is not None:
                self._on_change(gone.agent_id, None)
