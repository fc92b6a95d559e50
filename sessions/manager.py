"""Admits calls, knows the live ones, and sees each through to its stored record."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger

from config.agent import AgentConfig
from config.errors import StorageError
from serializer.base import Dialect
from serializer.messages import Message
from sessions import metrics
from sessions.admission import Admission, Occupancy, RefusalReason, refused
from sessions.answered import AnsweredCalls
from sessions.channel import Channel
from sessions.ended import EndedCalls
from sessions.facts import CallFacts, Direction
from sessions.indexer import CallIndexer
from sessions.journal import JournalStatus
from sessions.journal_format import JournalHeader
from sessions.keeper import RecordKeeper
from sessions.no_start import journal_no_start
from sessions.ringing import RingingCalls
from sessions.session import CallSession, SessionParts
from storage.index.entry import IndexedCall

CHECK_SECONDS = 1.0
#: How often to look whether calls that were answered have begun to stream.
PROMISED_SECONDS = 0.1
#: After the last calls were told to end: for their farewells, and for storing their records.
FAREWELL_SECONDS = 30.0
STORE_SECONDS = 20.0
#: The same for what is left to be stored when that time is over.
LATE_SECONDS = 1.0


class SessionManager:
    """All live calls of the process.

    Args:
        parts: What sessions share.
        keeper: Finishes journals.
        admission: Who is let in.
        promised: How many calls were answered whose stream is still to come.
        answered: Notes of calls that were answered; a journal takes the place of each.
    """

    def __init__(
        self,
        parts: SessionParts,
        keeper: RecordKeeper,
        admission: Admission,
        promised: Callable[[], int],
        answered: AnsweredCalls,
    ) -> None:
        self._parts = parts
        self._keeper = keeper
        self.ringing = RingingCalls(parts.bot, parts.lead_ms)
        self.ended = EndedCalls(keeper.amend)
        self._admission = admission
        self._promised = promised
        self._answered = answered
        self._indexer: CallIndexer | None = None
        self._live: dict[str, CallSession] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._store_by = float("inf")

    @property
    def active(self) -> int:
        """How many calls are live."""
        return len(self._live)

    @property
    def draining(self) -> bool:
        """Whether the server takes no new calls because it will stop."""
        return self._admission.draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        self._admission.draining = draining

    def refusal(self, direction: Direction) -> RefusalReason | None:
        """Why a new call would be refused, in or out; None where it is welcome."""
        return self._admission.refusal(self._occupancy(), direction)

    def refusal_of_unknown(self) -> RefusalReason | None:
        """The same for a socket that has not said yet who it is."""
        return self._admission.refusal_of_unknown(self._occupancy())

    def __iter__(self) -> Iterator[CallSession]:
        return iter(tuple(self._live.values()))

    def find(self, call_id: str) -> CallSession | None:
        """The live call of that id, ours or the carrier's; the latest where there are several."""
        return next((s for s in reversed(self._live.values()) if call_id in s.keys), None)

    def stored(self, call_id: str) -> IndexedCall | None:
        """A call that ended lately and has been stored, by our id or the carrier's."""
        return self.ended.find(call_id)

    def index_with(self, indexer: CallIndexer) -> None:
        """Tell an index of calls from now on; of stored calls the keeper tells it."""
        self._indexer = indexer

    async def start(self) -> None:
        """Begin to watch deadlines."""
        self._watch = asyncio.create_task(self._check_for_ever(), name="session-watch")

    def goes_on(self, agent: AgentConfig, facts: CallFacts, dialect: Dialect) -> bool:
        """Whether a stream belongs to a live call, which needs no line of its own."""
        live = self._streams_of(facts.carrier_call_id)
        return any(session.can_move_to(agent, facts, dialect) for session in live)

    def admit(self, direction: Direction, *, promised: bool = False) -> None:
        """Refuse when there is no room.

        Args:
            promised: The call was told to come, at the answer webhook.

        Raises:
            AdmissionError: ``draining`` or ``server_full``.
        """
        now = self._occupancy()
        reason = (
            self._admission.refusal_of_promised(now)
            if promised
            else self._admission.refusal(now, direction)
        )
        if reason is not None:
            raise refused(reason)

    async def serve(
        self,
        agent: AgentConfig,
        facts: CallFacts,
        channel: Channel,
        dialect: Dialect,
        held: Sequence[Message] = (),
        *,
        session_id: str | None = None,
        began_at: float | None = None,
        hangup: str | None = None,
    ) -> str:
        """Serve one call to its end.

        A second stream of a carrier's live call takes the place of the first in the same
        session. Where it cannot (it is not like the first), that session ends, and each has a
        record of its own.

        Args:
            session_id: The call's, where it has one since it was answered.
            began_at: Loop time of the peer's first message, None for now.
            hangup: What the carrier told of the call's end while its stream was opening.

        Returns:
            The end cause.
        """
        for replaced in self._streams_of(facts.carrier_call_id):
            if replaced.can_move_to(agent, facts, dialect):
                return await replaced.move_to(channel, dialect, facts, held)
            replaced.notice("stream_replaced", "the carrier opened another stream for this call")
            replaced.gone("lost")
        formats = (dialect.input_format, dialect.output_format)
        prepared = self.ringing.take(facts.carrier_call_id, agent, formats)
        session = CallSession(
            *(agent, facts, channel, dialect, self._parts, prepared),
            session_id=session_id,
            began_at=began_at,
        )
        self._live[session.session_id] = session
        self.ended.expect(session.session_id, facts.carrier_call_id)
        if self._indexer is not None:
            self._indexer.begun(session)
        self._idle.clear()
        metrics.SESSIONS_TOTAL.labels(dialect.name).inc()
        metrics.SESSIONS_ACTIVE.set(self.active)
        if hangup is not None and facts.carrier_call_id:
            # Once the session has told of its beginning.
            loop = asyncio.get_running_loop()
            loop.call_soon(self.carrier_hung_up, facts.carrier_call_id, hangup)
        cause = "internal_error"
        try:
            cause = await session.run(held)
        finally:
            del self._live[session.session_id]
            metrics.SESSIONS_ACTIVE.set(self.active)
            metrics.SESSIONS_ENDED.labels(cause).inc()
            self._begin(self._store(session.session_id, session.journal.close()))
            if not self._live:
                self._idle.set()
        return cause

    def record_no_start(self, header: JournalHeader, cause: str = "no_start") -> None:
        """Keep a record of a call that was answered and never began to stream."""
        metrics.SESSIONS_ENDED.labels(cause).inc()
        self.ended.expect(header.session_id, header.carrier_call_id)
        journal = journal_no_start(header, self._parts.journals, cause)
        self._begin(self._store(header.session_id, journal))

    def carrier_notice(self, call_id: str, name: str, detail: str) -> None:
        """Keep what a carrier told of a call over a webhook, live or ended."""
        live = [session for session in self._streams_of(call_id) if session.notice(name, detail)]
        if not live and not self.ended.notice(call_id, name, detail):
            logger.info(f"carrier notice {name!r} for a call that is not known here")

    def carrier_hung_up(self, call_id: str, detail: str) -> None:
        """The carrier's word that a call is over; it may come twice or late."""
        self.ringing.forget(call_id)
        self.carrier_notice(call_id, "hangup", detail)
        for session in self._streams_of(call_id):
            session.hung_up()

    async def settled(self) -> None:
        """Wait until no call is live and all have been stored or put off for later."""
        await self._idle.wait()
        while self._finishing:
            await asyncio.wait(self._finishing)
        await self.ended.settled()

    async def drain(self, seconds: float) -> None:
        """Take no new calls, let the live ones go on for a while, then end them."""
        self.draining = True
        if self._live or self._promised():
            logger.info(f"draining: {self.active} calls may go on for {seconds:.0f} s")
        if not await _within(seconds, self._all_gone()):
            for session in self:
                session.end("drained")
            if not await _within(FAREWELL_SECONDS, self._idle.wait()):
                logger.error(f"{self.active} calls did not end")
        # One allowance for all: a second drain, when the server stops, adds none.
        now = asyncio.get_running_loop().time()
        self._store_by = min(self._store_by, now + STORE_SECONDS)
        if not await _within(max(LATE_SECONDS, self._store_by - now), self.settled()):
            logger.warning("some calls are not stored yet; the next start goes on with them")

    async def stop(self) -> None:
        """Stop watching, and what still rings."""
        await self.ringing.close()
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch

    async def _all_gone(self) -> None:
        """Wait until no call is live and none is about to be."""
        while self._live or self._promised():
            await self._idle.wait()
            # A call that was answered has some seconds to open its stream.
            await asyncio.sleep(PROMISED_SECONDS if self._promised() else 0)

    def _occupancy(self) -> Occupancy:
        return Occupancy(live=len(self._live), promised=self._promised())

    def _streams_of(self, carrier_call_id: str | None) -> list[CallSession]:
        """The live sessions of a carrier's call; a carrier knows no ids of ours."""
        if not carrier_call_id:
            return []
        return [s for s in self if s.facts.carrier_call_id == carrier_call_id]

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="session-store")
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _store(self, session_id: str, closing: Coroutine[Any, Any, JournalStatus]) -> None:
        """Have the journal made into recording, transcript and record."""
        status = await closing
        if not status.on_disk:
            logger.error(f"call {session_id} left no journal: {status.error}")
            if self._indexer is not None:
                self._indexer.lost(session_id)
            return
        if self._indexer is not None:
            self._indexer.ended(status.folder)
        try:
            await self._keeper.finish(status.folder)
        except StorageError as error:
            logger.warning(f"call {session_id} is not stored yet: {error.message}")
        # Nobody waits for this task; the keeper tries again at the next start.
        except Exception:
            logger.exception(f"call {session_id} could not be stored")

    async def _check_for_ever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self._check_all(asyncio.get_running_loop().time())

    def _check_all(self, now: float) -> None:
        for session in self:
            try:
                if self._answered.holds(session.session_id) and session.journal.file.made:
                    self._answered.remove_soon(session.session_id)
                session.check(now)
            # One call's mistake must not leave all others without deadlines.
            except Exception:
                logger.exception(f"call {session.session_id}: its deadlines failed")


async def _within(seconds: float, wait: Coroutine[Any, Any, object]) -> bool:
    """Whether ``wait`` came to its end in time."""
    try:
        async with asyncio.timeout(seconds):
            await wait
    except TimeoutError:
        return False
    return True
