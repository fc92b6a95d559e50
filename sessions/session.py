"""One call from admission to closing: ``admitted -> running -> ending -> closed``."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import uuid4

from loguru import logger

from bot.call_bot import BotParts, CallBot
from bot.events import CallEnded, CallEvent, CallStarted
from bot.language import Outcome
from config.agent import AgentConfig
from config.errors import VoiceServerError
from serializer.base import Dialect
from serializer.codecs import AudioFormat
from serializer.messages import Message
from sessions.call_ending import CallEnding
from sessions.call_events import CallEvents, EventSink
from sessions.channel import Channel, Departure
from sessions.deadlines import Deadlines
from sessions.facts import CallFacts
from sessions.farewell import dismiss_peer, say_last_words
from sessions.intake import Intake
from sessions.journal import CallJournal
from sessions.journal_header import journal_header
from sessions.journal_writer import JournalWriter
from sessions.line import Line
from sessions.live import LiveEvents
from sessions.peer_messages import PeerMessages
from sessions.ringing import PreparedBot

#: After the carrier's word that the caller has hung up, so long is waited for the end of the
#: stream: what was said last may still be on its way.
HANGUP_SECONDS = 1.0
#: How long the peer waits for a bot that does not end, and for its own closing.
BOT_SECONDS = 1.0
CLOSE_SECONDS = 5.0
#: The bot's own last resort comes sooner.
STUCK_SECONDS = 20.0

State = Literal["admitted", "running", "ending", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParts:
    """What all sessions of a process share.

    Attributes:
        reports: Tells others of calls.
        carrier: Has the carrier record calls.
    """

    bot: BotParts
    journals: JournalWriter
    live: LiveEvents
    lead_ms: int
    reports: EventSink | None = None
    carrier: EventSink | None = None


class CallSession:
    """One live call. Owns its bot, its journal, its deadlines and their end.

    Args:
        agent: Frozen for the call.
        facts: Who calls whom.
        channel: The open socket.
        dialect: Negotiated: both its formats are known.
        parts: What all sessions share.
        prepared: A bot that was made for this call while the phone rang; it has the call's id.
        session_id: The call's id where it has one already.
        began_at: Loop time of the call's zero: of the peer's first message, whose sound would
            else be laid behind the agent's by as long as its agent was looked for.
    """

    def __init__(
        self,
        agent: AgentConfig,
        facts: CallFacts,
        channel: Channel,
        dialect: Dialect,
        parts: SessionParts,
        prepared: PreparedBot | None = None,
        *,
        session_id: str | None = None,
        began_at: float | None = None,
    ) -> None:
        self.session_id = prepared.session_id if prepared else session_id or str(uuid4())
        self.agent = agent
        self.facts = facts
        self.state: State = "admitted"
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._started_at = now if began_at is None else began_at
        self.started_wall = time.time() - (now - self._started_at)
        self._ending = CallEnding(self.session_id)
        self._tasks: list[asyncio.Task[None]] = []
        self._reading: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[str] = self._loop.create_future()
        heard, spoken = dialect.input_format, dialect.output_format
        assert heard is not None and spoken is not None
        self._bot = prepared.bot if prepared else self._new_bot(parts, heard, spoken)
        header = journal_header(self, dialect.name, heard, spoken)
        self.journal: CallJournal = parts.journals.open(header)
        self._line = Line(
            channel, dialect, self.journal, self._to_session_ms, lambda: self.gone("lost")
        )
        self._messages = PeerMessages(self._line, dialect)
        self._events = CallEvents(
            header,
            self.keys,
            journal=self.journal,
            live=parts.live,
            messages=self._messages,
            sinks=[sink for sink in (parts.reports, parts.carrier) if sink is not None],
            now_ms=self._now_ms,
        )
        self._intake = Intake(
            *(self, channel, dialect, self._line, self._bot),
            heard_format=heard,
            started_at=self._started_at,
        )
        self._deadlines = Deadlines(
            self, self._intake, self._bot.playout, self._ask_who_is_there, self._started_at
        )

    def _new_bot(self, parts: SessionParts, heard: AudioFormat, spoken: AudioFormat) -> CallBot:
        return CallBot(
            self.agent,
            parts.bot,
            heard_format=heard,
            spoken_format=spoken,
            session_id=self.session_id,
            variables=self.facts.values(),
            lead_ms=parts.lead_ms,
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Names under which others know this call: our id and the carrier's."""
        carrier_id = self.facts.carrier_call_id
        return (self.session_id, carrier_id) if carrier_id else (self.session_id,)

    def seconds(self) -> float:
        """How long the call has lasted."""
        return self._loop.time() - self._started_at

    async def run(self, held: Sequence[Message] = ()) -> str:
        """Serve the call until it ends.

        Args:
            held: Messages that came before the session was admitted.

        Returns:
            The end cause, one of ``bot.events.END_CAUSES``.
        """
        with logger.contextualize(call=self.session_id):
            return await self._run(held)

    async def _run(self, held: Sequence[Message]) -> str:
        cause = "internal_error"
        self._beside(self._messages.send_for_ever(), "session-messages")
        try:
            self.state = "running"
            self._announce_start()
            await self._line.send(self._line.dialect.ready(self.session_id))
            cause = await self._serve(held)
        except (VoiceServerError, OSError) as error:
            cause = self._ending.cause_of(error)
        # Whatever went wrong in this call, it is recorded, its caller told, and no other harmed.
        except Exception:
            logger.exception(f"call {self.session_id} failed")
        finally:
            self.state = "ending"
            try:
                await say_last_words(self._bot, self._ending, cause)
                await self._close(cause)
            finally:
                self._closed.set_result(cause)
        return cause

    def can_move_to(self, agent: AgentConfig, facts: CallFacts, dialect: Dialect) -> bool:
        """Whether another stream of the same carrier's call may take this one's place."""
        now = self._line.dialect
        return (
            self._reading is not None
            and not self._ending.settled
            and agent.agent_id == self.agent.agent_id
            and facts.carrier_stream_id != self.facts.carrier_stream_id
            and dialect.name == now.name
            and dialect.input_format == now.input_format
            and dialect.output_format == now.output_format
        )

    async def move_to(
        self, channel: Channel, dialect: Dialect, facts: CallFacts, held: Sequence[Message] = ()
    ) -> str:
        """Go on over another stream: the same conversation, recording and record.

        Returns:
            The end cause, once the call is over.
        """
        old = self._line.channel
        self.facts = replace(self.facts, carrier_stream_id=facts.carrier_stream_id)
        self.notice("stream_replaced", f"the call goes on as stream {facts.carrier_stream_id}")
        logger.info(f"call {self.session_id}: goes on over another stream")
        if self._reading is not None:
            self._reading.cancel()
        self._line.move(channel, dialect)
        self._intake.move(channel, dialect)
        # The old line will not confirm any more that its buffer is empty.
        self._bot.playout.cleared()
        self._read(held)
        await old.close(1000, "stream_replaced")
        return await asyncio.shield(self._closed)

    async def say(self, text: str) -> None:
        """Have the agent speak ``text`` as it is, after what is being said."""
        await self._bot.say(text)

    def end(self, cause: str) -> None:
        """Have the call end; the first cause given counts."""
        self._ending.end(cause)

    def fail(self, cause: str, code: str, message: str) -> None:
        """Have the call end with an error that a client program is told."""
        self._ending.fail(cause, code, message)

    def hung_up(self) -> None:
        """The carrier says that the caller has hung up; their last words are read to the end."""
        if not self._ending.hung_up:
            self._ending.hung_up = True
            self._beside(self._read_out(), "session-hangup")

    async def _read_out(self) -> None:
        # The reader ends the call where it finds the end of the stream.
        await self._ending.within(HANGUP_SECONDS)
        self.gone("left")

    def gone(self, departure: Departure) -> None:
        """The caller has gone: nothing that is still to be said will be heard."""
        if self._ending.hung_up:
            departure = "left"
        if departure == "lost" and not (self._ending.settled or self._deadlines.line_is_silent):
            self.degraded("wire", "peer_lost", "the peer is gone, or reads no more, without a word")
        self._ending.leave(departure)

    def check(self, now: float) -> None:
        """Look at the call's deadlines; called about once a second with the loop's time."""
        if not self._ending.settled:
            self._events.check_recording()
            self._deadlines.check(now)

    def loop_blocked(self, seconds: float) -> None:
        """The server's loop stood still, and with it this call."""
        self._events.loop_blocked(seconds)

    def degraded(self, stage: str, kind: str, detail: str) -> None:
        """Put down, log and count something that failed while the call goes on."""
        self._events.degraded(stage, kind, detail)

    async def switch_language(self, language: str) -> Outcome:
        """Have the agent go on in another of its languages; see :meth:`CallBot.switch_language`."""
        return await self._bot.switch_language(language)

    def notice(self, name: str, detail: str) -> bool:
        """Keep something that the carrier told over a webhook; what it repeats is kept once.

        Returns:
            False where the call is over, so that it has to be kept elsewhere.
        """
        return self._events.notice(name, detail)

    def emit(self, event: CallEvent) -> None:
        """Hand an event to every sink; never blocks, never raises."""
        self._deadlines.heard(event, self._loop.time())
        self._events.emit(event)

    async def _serve(self, held: Sequence[Message]) -> str:
        await self._bot.start(
            self._line, emit=self.emit, on_end=self._bot_wants_end, started_at=self._started_at
        )
        self._read(held)
        return await self._ending.cause()

    def _read(self, held: Sequence[Message]) -> None:
        self._reading = self._beside(self._intake.read(held), "session-intake")

    def _ask_who_is_there(self) -> None:
        self._beside(self._bot.ask_who_is_there(), "session-ask")

    def _beside(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` beside the call; its failure ends the call and goes no further."""

        async def guarded() -> None:
            try:
                await work
            except OSError:
                self.gone("lost")
            # The same bargain as in run(): one call's failure stays with that call.
            except Exception:
                logger.exception(f"call {self.session_id} failed in {name}")
                self.end("internal_error")

        task = asyncio.create_task(guarded(), name=name)
        self._tasks.append(task)
        return task

    async def _close(self, cause: str) -> None:
        """End everything this session runs, in the order that loses nothing."""
        stopping = asyncio.create_task(self._bot.stop(), name="session-bot-stop")
        # A pipeline that does not end is the server's trouble; the peer does not wait for it.
        await asyncio.wait((stopping,), timeout=BOT_SECONDS)
        self.emit(CallEnded(at_ms=self._now_ms(), cause=cause))
        self._events.over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await dismiss_peer(self._line, self._messages, self._ending, cause)
        await self.journal.close()
        logger.info(f"call {self.session_id} ended: {cause} after {self.seconds():.1f} s")
        await self._see_bot_end(stopping)
        self.state = "closed"

    async def _see_bot_end(self, stopping: asyncio.Task[None]) -> None:
        await asyncio.wait((stopping,), timeout=STUCK_SECONDS)
        if not stopping.done():
            stopping.cancel()
            logger.error(f"call {self.session_id}: its bot did not stop")
        elif not stopping.cancelled() and (error := stopping.exception()) is not None:
            logger.opt(exception=error).error(f"call {self.session_id}: its bot stopped badly")
        else:
            self._bot.let_go()

    def _announce_start(self) -> None:
        facts = self.facts
        self.emit(
            CallStarted(
                at_ms=self._now_ms(),
                carrier_call_id=facts.carrier_call_id,
                from_number=facts.from_number,
                to_number=facts.to_number,
                direction=facts.direction,
            )
        )
        logger.info(f"call {self.session_id} started: agent {self.agent.agent_id}")

    def _bot_wants_end(self, cause: str, target: str | None) -> None:
        if target is not None:
            self.notice("transfer_requested", "the agent asked to hand the call over")
        self.end(cause)

    def _now_ms(self) -> float:
        return self.seconds() * 1000

    def _to_session_ms(self, loop_time: float) -> float:
        return (loop_time - self._started_at) * 1000
