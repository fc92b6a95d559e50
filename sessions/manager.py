"""Admits calls, knows the live ones, and sees each through to its stored record."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger

from config.agent import AgentConfig
from config.errors import AdmissionError, StorageError
from serializer.base import Dialect
from serializer.messages import Message
from sessions import metrics
from sessions.channel import Channel
from sessions.facts import CallFacts
from sessions.keeper import RecordKeeper, StoredCall
from sessions.ringing import RingingCalls
from sessions.session import CallSession, SessionParts

CHECK_SECONDS = 1.0
#: Calls whose stored record is remembered for quick answers.
MAX_REMEMBERED = 1000


class SessionManager:
    """All live calls of the process.

    Args:
        parts: What sessions share.
        keeper: Finishes journals.
        max_sessions: Calls at once; one more is refused.
    """

    def __init__(self, parts: SessionParts, keeper: RecordKeeper, max_sessions: int) -> None:
        self._parts = parts
        self._keeper = keeper
        self.ringing = RingingCalls(parts.bot, parts.lead_ms)
        self._max_sessions = max_sessions
        self._live: dict[str, CallSession] = {}
        self._stored: OrderedDict[str, StoredCall] = OrderedDict()
        self._finishing: set[asyncio.Task[Any]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False
        self.refused: Counter[str] = Counter()

    @property
    def active(self) -> int:
        """How many calls are live."""
        return len(self._live)

    @property
    def full(self) -> bool:
        """Whether one more call would be refused."""
        return len(self._live) >= self._max_sessions

    def __iter__(self) -> Iterator[CallSession]:
        return iter(tuple(self._live.values()))

    def find(self, call_id: str) -> CallSession | None:
        """The live call of that id, ours or the carrier's; the latest where there are several."""
        for session in reversed(self._live.values()):
            if call_id in session.keys:
                return session
        return None

    def stored(self, call_id: str) -> StoredCall | None:
        """A call that ended lately and has been stored, by our id or the carrier's."""
        return self._stored.get(call_id)

    async def start(self) -> None:
        """Begin to watch deadlines."""
        self._watch = asyncio.create_task(self._check_for_ever(), name="session-watch")

    def admit(self) -> None:
        """Refuse when there is no room.

        Raises:
            AdmissionError: ``draining`` or ``server_full``.
        """
        if self.draining:
            self._refuse("draining", "the server is shutting down and takes no new calls")
        if self.full:
            self._refuse("server_full", f"all {self._max_sessions} lines are busy; try later")

    async def serve(
        self,
        agent: AgentConfig,
        facts: CallFacts,
        channel: Channel,
        dialect: Dialect,
        held: Sequence[Message] = (),
    ) -> str:
        """Serve one call to its end.

        Returns:
            The end cause.

        Raises:
            AdmissionError: There is no room.
            ConfigError: The agent's services cannot be built.
        """
        self.admit()
        formats = (dialect.input_format, dialect.output_format)
        bot = self.ringing.take(facts.carrier_call_id, agent, formats)
        session = CallSession(agent, facts, channel, dialect, self._parts, bot)
        self._live[session.session_id] = session
        self._idle.clear()
        metrics.SESSIONS_TOTAL.labels(dialect.name).inc()
        metrics.SESSIONS_ACTIVE.set(self.active)
        try:
            cause = await session.run(held)
        finally:
            del self._live[session.session_id]
            metrics.SESSIONS_ACTIVE.set(self.active)
            self._finish(session)
            if not self._live:
                self._idle.set()
        metrics.SESSIONS_ENDED.labels(cause).inc()
        return cause

    def keep_stored(self, call: StoredCall) -> None:
        """Remember where a call was stored; given to the keeper as its listener."""
        record = call.record
        for key in (record.session_id, record.carrier_call_id):
            if key:
                self._stored[key] = call
                self._stored.move_to_end(key)
        while len(self._stored) > MAX_REMEMBERED:
            self._stored.popitem(last=False)

    def carrier_notice(self, call_id: str, name: str, detail: str) -> None:
        """Keep what a carrier told of a call over a webhook, live or ended."""
        session = self.find(call_id)
        if session is not None:
            session.notice(name, detail)
        elif call_id in self._stored:
            self._amend(call_id, name, detail)
        else:
            logger.info(f"carrier notice {name} for a call that is not known here")

    def carrier_hung_up(self, call_id: str, detail: str) -> None:
        """The carrier's word that a call is over; it may come twice or late."""
        session = self.find(call_id)
        self.carrier_notice(call_id, "hangup", detail)
        if session is not None:
            session.end("caller_hangup")

    async def settled(self) -> None:
        """Wait until no call is live and all have been stored or put off for later."""
        await self._idle.wait()
        while self._finishing:
            await asyncio.wait(self._finishing)

    async def drain(self, seconds: float) -> None:
        """Take no new calls, let the live ones go on for a while, then end them."""
        self.draining = True
        if self._live:
            logger.info(f"draining: {self.active} calls may go on for {seconds:.0f} s")
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        for session in self:
            session.end("drained")
        with suppress(TimeoutError):
            async with asyncio.timeout(30.0):
                await self._idle.wait()
        await self.settled()

    async def stop(self) -> None:
        """Stop watching, and what still rings."""
        await self.ringing.close()
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch

    def _refuse(self, code: str, message: str) -> None:
        self.refused[code] += 1
        metrics.SESSIONS_REFUSED.labels(code).inc()
        raise AdmissionError(code, message)

    def _finish(self, session: CallSession) -> None:
        task = asyncio.create_task(self._store(session), name="session-store")
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    def _amend(self, call_id: str, name: str, detail: str) -> None:
        """Add a late notice to a stored record, once."""
        call = self._stored[call_id]
        if any(n.name == name and n.detail == detail for n in call.record.notices):
            return
        task = asyncio.create_task(self._keeper.amend(call, name, detail), name="record-amend")
        self._finishing.add(task)
        task.add_done_callback(self._amended)

    def _amended(self, task: "asyncio.Task[StoredCall]") -> None:
        self._finishing.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.keep_stored(task.result())
        else:
            logger.warning(f"a late notice could not be added to its record: {error}")

    async def _store(self, session: CallSession) -> None:
        """Have the journal made into recording, transcript and record."""
        status = await session.journal.close()
        if not status.on_disk:
            logger.error(f"call {session.session_id} left no journal: {status.error}")
            return
        try:
            await self._keeper.finish(status.folder)
        except StorageError as error:
            logger.warning(f"call {session.session_id} is not stored yet: {error.message}")

    async def _check_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for session in self:
                session.check(loop.time())
