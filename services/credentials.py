"""Keys that an organisation keeps in VoiceERA's backend, fetched before a call needs them.

A provider's key comes from the agent's file, ``config.yaml`` or the environment; only where none
of them has one is the backend asked, by the agent's ``org_id``. What it said is kept for a
while. After that it is asked again, once for all who wait; while it cannot be reached, the last
good key goes on serving, so that a backend that is down costs no call.

Fetching is for the moments before a call (loading an agent, its webhook, its beginning); building
a service only looks at what is there and never waits.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal

from loguru import logger
from pydantic import SecretStr

from config.agent import AgentConfig
from config.errors import BackendError, ProviderError
from config.providers import (
    PROVIDER_KINDS,
    ProviderCatalog,
    ProviderKind,
    ProviderOptions,
    ProviderSpec,
)
from config.resolve import backend_config_id, comes_from_backend
from config.settings import Settings
from services.backend import BackendClient

#: How long "there is no such key" holds: somebody may be entering it this minute.
ABSENT_SECONDS: Final = 30.0
#: How long a backend that failed is left alone, for one key.
FAILED_SECONDS: Final = 5.0
#: How long a call waits to have a key renewed that it could also use as it is.
RENEW_SECONDS: Final = 0.3
#: A key is not asked for again because of a refusal when it is younger than this.
YOUNG_SECONDS: Final = 10.0
MAX_ENTRIES: Final = 10_000

OnFetch = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the backend is asked: a vendor's key, or a server that it describes."""

    org_id: str
    what: Literal["key", "custom_llm"]
    name: str

    def __str__(self) -> str:
        # Both come from an agent's file and end up in log lines.
        subject = f"key for {self.name}" if self.what == "key" else f"custom LLM {self.name!r}"
        return f"{subject} of organisation {self.org_id[:64]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What the backend had.

    Attributes:
        api_key: None for a server that wants none.
        base_url: Of a custom server; None where the vendor's own address holds.
        model: Of a custom server.
    """

    api_key: SecretStr | None
    base_url: str | None = None
    model: str | None = None

    def added_to(self, options: ProviderOptions) -> ProviderOptions:
        """A copy of a provider's options that has this in its place."""
        changes: dict[str, object] = {}
        if options.secret_field is not None and self.api_key is not None:
            changes[options.secret_field] = self.api_key
        if self.base_url is not None:
            changes |= {"base_url": self.base_url, "model": self.model}
        return options.model_copy(update=changes)


@dataclass(slots=True)
class _Entry:
    """What is known of one thing.

    Attributes:
        value: What the backend said last; None where it has none, or never said.
        due_at: When it is to be asked again.
        fetched_at: When ``value`` came.
        failing: The last try failed; it has been said.
        task: The try that goes on.
    """

    value: Credential | None = None
    due_at: float = float("-inf")
    fetched_at: float = float("-inf")
    failing: bool = False
    task: "asyncio.Task[None] | None" = None


class Credentials:
    """The keys of all organisations that this process serves.

    Args:
        catalog: Every provider known.
        settings: Which keys there are here, how long one is kept, how long a call waits.
        backend: Whom to ask; None where there is no backend.
        on_fetch: Told how each fetch ended (``found``, ``absent`` or an error's code) and how
            many seconds it took.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        catalog: ProviderCatalog,
        settings: Settings,
        backend: BackendClient | None,
        *,
        on_fetch: OnFetch = lambda outcome, seconds: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._backend = backend
        self._on_fetch = on_fetch
        self._clock = clock
        self._entries: OrderedDict[_Wanted, _Entry] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_outcome: str | None = None

    @property
    def backend_state(self) -> str:
        """How the backend fares: ``none``, ``not asked yet``, ``ok``, or why it gave no answer."""
        if self._backend is None:
            return "none"
        return self._last_outcome or "not asked yet"

    def fetch(self, agent: AgentConfig) -> None:
        """Begin to fetch what the agent's providers lack and the backend may have.

        Returns at once; nothing happens for what is known and fresh.
        """
        for wanted in self._wanted(agent, PROVIDER_KINDS):
            self._renew(wanted)

    async def ready(
        self, agent: AgentConfig, kinds: Collection[ProviderKind] = PROVIDER_KINDS
    ) -> None:
        """Have what the agent's providers lack, as far as it is to be had in time; never raises.

        Everything is fetched at the same time. What is not there after
        ``backend.keys_wait_seconds`` is fetched on, for the next call.

        Args:
            kinds: Stages that are about to be needed; nothing is done for others.
        """
        pending: list[asyncio.Task[None]] = []
        longest_seconds = 0.0
        for wanted in self._wanted(agent, kinds):
            entry = self._renew(wanted)
            if entry.task is None:
                continue
            pending.append(entry.task)
            wait_seconds = self._settings.backend.keys_wait_seconds
            if entry.value is not None:
                wait_seconds = min(RENEW_SECONDS, wait_seconds)
            longest_seconds = max(longest_seconds, wait_seconds)
        if pending:
            await asyncio.wait(pending, timeout=longest_seconds)

    def complete(
        self, spec: ProviderSpec, options: ProviderOptions, agent: AgentConfig
    ) -> ProviderOptions:
        """``options`` with what the backend has added to them, of what is there now.

        Raises:
            ProviderError: They lack something that only the backend could have, and it is not
                there (code ``stt_no_key`` and so on).
        """
        wanted = self._lacking(spec, options, agent)
        if wanted is None:
            return options
        entry = self._entries.get(wanted)
        if entry is None or entry.value is None:
            self._renew(wanted)
            raise ProviderError(
                f"{spec.kind}_no_key",
                f"{spec.title} cannot be used: the backend has given no {wanted}",
                provider=spec.name,
                stage=spec.kind,
                retryable=entry is None or entry.failing or entry.task is not None,
            )
        return entry.value.added_to(options)

    def known(
        self, spec: ProviderSpec, options: ProviderOptions, agent: AgentConfig
    ) -> ProviderOptions:
        """As :meth:`complete`, but as they are where the backend has given nothing."""
        wanted = self._lacking(spec, options, agent)
        entry = self._entries.get(wanted) if wanted is not None else None
        if entry is None or entry.value is None:
            return options
        return entry.value.added_to(options)

    def rejected(self, kind: ProviderKind, name: str, agent: AgentConfig) -> None:
        """A vendor has refused the key (401, 403): ask the backend for another.

        The refused key goes on serving until the backend has answered, since a vendor may be
        wrong for a moment and without a key no call could be served. A key that was fetched
        seconds ago is not asked for again.
        """
        spec = self._catalog.find(kind, name)
        if spec is None or not agent.has_options(kind, name):
            return
        wanted = self._lacking(spec, agent.provider_options(kind, name), agent)
        entry = self._entries.get(wanted) if wanted is not None else None
        if wanted is None or entry is None:
            return
        if self._clock() - entry.fetched_at >= YOUNG_SECONDS and entry.due_at > self._clock():
            logger.warning(f"a vendor refused the {wanted}; the backend is asked again")
            entry.due_at = self._clock()
            self._renew(wanted)

    async def close(self) -> None:
        """Stop all fetching."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wanted(self, agent: AgentConfig, kinds: Collection[ProviderKind]) -> Iterator[_Wanted]:
        """All that the agent's chains lack, each once."""
        seen: set[_Wanted] = set()
        for kind in kinds:
            for name, language in _in_all_languages(agent, kind):
                spec = self._catalog.find(kind, name)
                if spec is None or not agent.has_options(kind, name, language):
                    continue
                options = agent.provider_options(kind, name, language)
                wanted = self._lacking(spec, options, agent)
                if wanted is not None and wanted not in seen:
                    seen.add(wanted)
                    yield wanted

    def _lacking(
        self, spec: ProviderSpec, options: ProviderOptions, agent: AgentConfig
    ) -> _Wanted | None:
        if agent.org_id is None or self._backend is None:
            return None
        if not comes_from_backend(spec, options, agent, self._settings):
            return None
        custom_id = backend_config_id(options)
        if custom_id is not None:
            return _Wanted(agent.org_id, "custom_llm", custom_id)
        return _Wanted(agent.org_id, "key", spec.backend_model or "")

    def _renew(self, wanted: _Wanted) -> _Entry:
        """The entry, with a try under way if one is due."""
        entry = self._entries.setdefault(wanted, _Entry())
        self._entries.move_to_end(wanted)
        if entry.task is None and self._clock() >= entry.due_at:
            entry.task = asyncio.create_task(self._fetch(wanted, entry), name="credential-fetch")
            self._tasks.add(entry.task)
            entry.task.add_done_callback(self._tasks.discard)
        self._forget_oldest()
        return entry

    async def _fetch(self, wanted: _Wanted, entry: _Entry) -> None:
        began = self._clock()
        outcome = None
        try:
            value = await self._ask(wanted)
            outcome = "absent" if value is None else "found"
            self._keep(wanted, entry, value)
        except BackendError as error:
            outcome = error.code
            self._keep_last(wanted, entry, error.message)
        # Nobody awaits this task for its result; a mistake must not be asked for in a circle.
        except Exception as error:
            outcome = "backend_crashed"
            logger.exception(f"asking the backend for the {wanted} failed")
            self._keep_last(wanted, entry, type(error).__name__)
        finally:
            entry.task = None
            if outcome is not None:
                self._last_outcome = "ok" if outcome in ("found", "absent") else outcome
                self._on_fetch(outcome, self._clock() - began)

    async def _ask(self, wanted: _Wanted) -> Credential | None:
        assert self._backend is not None
        if wanted.what == "key":
            key = await self._backend.api_key(org_id=wanted.org_id, model=wanted.name)
            return None if key is None else Credential(api_key=key)
        found = await self._backend.custom_llm(org_id=wanted.org_id, custom_llm_id=wanted.name)
        if found is None:
            return None
        return Credential(api_key=found.api_key, base_url=found.base_url, model=found.model)

    def _keep(self, wanted: _Wanted, entry: _Entry, value: Credential | None) -> None:
        now = self._clock()
        ttl_seconds = self._settings.backend.keys_ttl_seconds
        if value is None:
            ttl_seconds = min(ABSENT_SECONDS, ttl_seconds)
            logger.warning(f"the backend has no {wanted}")
        elif entry.failing:
            logger.info(f"the backend gives the {wanted} again")
        entry.value, entry.failing = value, False
        entry.fetched_at, entry.due_at = now, now + ttl_seconds

    def _keep_last(self, wanted: _Wanted, entry: _Entry, why: str) -> None:
        if not entry.failing:
            rest = "its last one serves" if entry.value is not None else "there is none yet"
            logger.warning(f"the {wanted} could not be fetched: {why}; {rest}")
        entry.failing = True
        entry.due_at = self._clock() + FAILED_SECONDS

    def _forget_oldest(self) -> None:
        while len(self._entries) > MAX_ENTRIES:
            wanted, entry = next(iter(self._entries.items()))
            if entry.task is not None:
                entry.task.cancel()
            del self._entries[wanted]


def _in_all_languages(agent: AgentConfig, kind: ProviderKind) -> Iterator[tuple[str, str]]:
    """The providers of a stage with the languages that they are named for."""
    section = agent.section(kind)
    for name in section.chain:
        yield name, agent.language
    for language in section.languages:
        for name in section.named_for(language):
            yield name, language
