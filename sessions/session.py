"""One call from admission to closing: ``admitted -> running -> ending -> closed``."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol
from uuid import uuid4

from loguru import logger

from bot.call_bot import BotParts, CallBot
from bot.events import (
    AgentSpeech,
    CallEnded,
    CallerSpeechStarted,
    CallerTranscript,
    CallEvent,
    CallStarted,
    CarrierNotice,
    Degraded,
    DtmfReceived,
)
from bot.language import Outcome
from config.agent import AgentConfig
from config.errors import ConfigError, VoiceServerError
from serializer.base import Dialect
from serializer.messages import Message
from sessions import metrics
from sessions.channel import Channel, Departure
from sessions.endings import CLOSE_CODES, DEPARTURES, FAILED, GRACEFUL, LAST_WORDS, UNUSABLE
from sessions.facts import CallFacts
from sessions.intake import Intake
from sessions.journal import CallJournal
from sessions.journal_format import RECORDING_FAILED, JournalHeader
from sessions.journal_header import journal_header
from sessions.journal_writer import JournalWriter
from sessions.line import Line
from sessions.live import LiveEvents
from sessions.peer_messages import PeerMessages
from sessions.ringing import PreparedBot
from sessions.whole_text import with_whole_text

#: A line on which nothing comes, not even silence: the caller is asked, then taken to be gone.
ASK_SECONDS = 10.0
NO_MEDIA_SECONDS = 30.0
#: What a carrier may tell of one call before more of it is left out of the record.
MAX_NOTICES = 500
#: The same of times at which the server stood still.
MAX_BLOCKED = 20
#: After the carrier's word that the caller has hung up, so long is waited for the end of the
#: stream: what was said last may still be on its way.
HANGUP_SECONDS = 1.0
#: How long the peer waits for a bot that does not end, and for its own closing.
BOT_SECONDS = 1.0
CLOSE_SECONDS = 5.0
#: The bot's own last resort comes sooner.
STUCK_SECONDS = 20.0

State = Literal["admitted", "running", "ending", "closed"]


class EventSink(Protocol):
    """Hears what happens in calls; never blocks."""

    def event(self, header: JournalHeader, event: CallEvent) -> None:
        """Something happened in the call of that journal."""
        ...


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
        self._channel = channel
        self._dialect = dialect
        self._live = parts.live
        self._sinks = [sink for sink in (parts.reports, parts.carrier) if sink is not None]
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._started_at = now if began_at is None else began_at
        self.started_wall = time.time() - (now - self._started_at)
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._gone = asyncio.Event()
        self._failure: tuple[str, str] | None = None
        self._unable = False
        self._hung_up = False
        self._over = False
        self._notices: set[tuple[str, str]] = set()
        self._last_activity_at = self._started_at
        self._asked_at_media = 0.0
        self._recording_failed = False
        self._blocked = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._reading: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[str] = self._loop.create_future()
        heard, spoken = dialect.input_format, dialect.output_format
        assert heard is not None and spoken is not None
        self._bot = (
            prepared.bot
            if prepared
            else CallBot(
                agent,
                parts.bot,
                heard_format=heard,
                spoken_format=spoken,
                session_id=self.session_id,
                variables=facts.values(),
                lead_ms=parts.lead_ms,
            )
        )
        self._header = journal_header(self, dialect.name, heard, spoken)
        self.journal: CallJournal = parts.journals.open(self._header)
        self._line = Line(
            channel, dialect, self.journal, self._to_session_ms, lambda: self.gone("lost")
        )
        self._messages = PeerMessages(self._line, dialect)
        self._intake = Intake(
            self,
            channel,
            dialect,
            self._line,
            self._bot,
            heard_format=heard,
            started_at=self._started_at,
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
        tasks = self._tasks
        tasks.append(self._task(self._messages.send_for_ever(), "session-messages"))
        try:
            self.state = "running"
            self._announce_start()
            await self._line.send(self._dialect.ready(self.session_id))
            cause = await self._serve(held)
        except (VoiceServerError, OSError) as error:
            cause = self._cause_of(error)
        # Whatever went wrong in this call, it is recorded, its caller told, and no other harmed.
        except Exception:
            logger.exception(f"call {self.session_id} failed")
        finally:
            self.state = "ending"
            try:
                await self._last_words(cause)
                await self._close(cause, tasks)
            finally:
                self._closed.set_result(cause)
        return cause

    def can_move_to(self, agent: AgentConfig, facts: CallFacts, dialect: Dialect) -> bool:
        """Whether another stream of the same carrier's call may take this one's place."""
        formats = (self._dialect.input_format, self._dialect.output_format)
        return (
            self._reading is not None
            and not self._ended.done()
            and agent.agent_id == self.agent.agent_id
            and facts.carrier_stream_id != self.facts.carrier_stream_id
            and dialect.name == self._dialect.name
            and (dialect.input_format, dialect.output_format) == formats
        )

    async def move_to(
        self, channel: Channel, dialect: Dialect, facts: CallFacts, held: Sequence[Message] = ()
    ) -> str:
        """Go on over another stream: the same conversation, recording and record.

        Returns:
            The end cause, once the call is over.
        """
        old, self._channel, self._dialect = self._channel, channel, dialect
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
        if not self._ended.done():
            self._ended.set_result(cause)

    def fail(self, cause: str, code: str, message: str) -> None:
        """Have the call end with an error that a client program is told."""
        if not self._ended.done():
            self._failure = (code, message)
            logger.warning(f"call {self.session_id}: {code}: {message}")
        self.end(cause)

    def hung_up(self) -> None:
        """The carrier says that the caller has hung up; their last words are read to the end."""
        if not self._hung_up:
            self._hung_up = True
            self._tasks.append(self._task(self._read_out(), "session-hangup"))

    async def _read_out(self) -> None:
        # The reader ends the call where it finds the end of the stream.
        await asyncio.wait((self._ended,), timeout=HANGUP_SECONDS)
        self.gone("left")

    def gone(self, departure: Departure) -> None:
        """The caller has gone: nothing that is still to be said will be heard."""
        if self._hung_up:
            departure = "left"
        if departure == "lost" and not self._ended.done() and not self._is_silent():
            self.degraded("wire", "peer_lost", "the peer is gone, or reads no more, without a word")
        self.end(DEPARTURES[departure])
        self._gone.set()

    def check(self, now: float) -> None:
        """Look at the call's deadlines; called about once a second with the loop's time."""
        if self._ended.done():
            return
        intake = self._intake
        if self._bot.playout.playing and not intake.paused:
            self._last_activity_at = now
        call = self.agent.call
        self._check_recording()
        if now - self._started_at >= call.max_duration_seconds:
            self.end("max_duration")
        elif self.facts.direction != "client" and now - intake.last_media_at >= ASK_SECONDS:
            self._miss_media(now - intake.last_media_at)
        elif 0 < call.silence_hangup_seconds <= now - self._last_activity_at:
            self.end("silence")

    def _miss_media(self, seconds: float) -> None:
        """Nothing comes from the caller: ask once, and later take them to be gone."""
        if seconds >= NO_MEDIA_SECONDS:
            self.gone("lost")
            return
        last_media_at = self._intake.last_media_at
        if self._is_silent():
            return
        self._asked_at_media = last_media_at
        self.degraded("wire", "no_media", f"nothing has come from the caller for {seconds:.0f} s")
        # Where the agent has spoken meanwhile, the caller has been asked something already.
        if self._bot.playout.play_end <= last_media_at:
            self._tasks.append(self._task(self._bot.ask_who_is_there(), "session-ask"))

    def _is_silent(self) -> bool:
        """Whether it has been told already that nothing comes any more."""
        return self._asked_at_media == self._intake.last_media_at

    def _check_recording(self) -> None:
        if self.journal.dropped_packets and not self._recording_failed:
            self._recording_failed = True
            error = self.journal.status.error or "the disk does not keep up"
            self.degraded("journal", RECORDING_FAILED, f"audio is not recorded: {error}")

    def loop_blocked(self, seconds: float) -> None:
        """The server's loop stood still, and with it this call."""
        self._blocked += 1
        if self._blocked <= MAX_BLOCKED:
            self.degraded("loop", "blocked", f"the server stood still for {seconds * 1000:.0f} ms")

    def degraded(self, stage: str, kind: str, detail: str) -> None:
        """Put down, log and count something that failed while the call goes on."""
        logger.warning(f"call {self.session_id}: {kind}: {detail}")
        self.emit(
            Degraded(at_ms=self._now_ms(), stage=stage, kind=kind, provider=None, detail=detail)
        )

    async def switch_language(self, language: str) -> Outcome:
        """Have the agent go on in another of its languages; see :meth:`CallBot.switch_language`."""
        return await self._bot.switch_language(language)

    def notice(self, name: str, detail: str) -> bool:
        """Keep something that the carrier told over a webhook; what it repeats is kept once.

        Returns:
            False where the call is over, so that it has to be kept elsewhere.
        """
        if self._over:
            return False
        told = (name, detail)
        if told not in self._notices and len(self._notices) < MAX_NOTICES:
            self._notices.add(told)
            self.emit(CarrierNotice(at_ms=self._now_ms(), name=name, detail=detail))
        return True

    def emit(self, event: CallEvent) -> None:
        """Hand an event to every sink; never blocks, never raises."""
        if self._over:
            return
        event = with_whole_text(event)
        if isinstance(event, (CallerSpeechStarted, CallerTranscript, DtmfReceived, AgentSpeech)):
            self._last_activity_at = self._loop.time()
        try:
            self.journal.event(event)
            self._live.publish(self.keys, self.session_id, event)
            metrics.count(event)
            self._messages.offer(event)
            for sink in self._sinks:
                sink.event(self._header, event)
        # A sink's mistake must neither end the call nor unsettle the pipeline that emitted.
        except Exception:
            logger.exception(f"call {self.session_id}: an event was lost")

    async def _serve(self, held: Sequence[Message]) -> str:
        await self._bot.start(
            self._line, emit=self.emit, on_end=self._bot_wants_end, started_at=self._started_at
        )
        self._read(held)
        return await self._ended

    def _read(self, held: Sequence[Message]) -> None:
        self._reading = self._task(self._intake.read(held), "session-intake")
        self._tasks.append(self._reading)

    def _task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
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

        return asyncio.create_task(guarded(), name=name)

    def _cause_of(self, error: VoiceServerError | OSError) -> str:
        if isinstance(error, OSError):
            if self._gone.is_set():
                return "peer_lost"
            logger.error(f"call {self.session_id}: {error}")
            return "internal_error"
        logger.error(f"call {self.session_id}: {error.message}")
        self._unable = True
        if isinstance(error, ConfigError):
            self._failure = UNUSABLE
        return "provider_failed"

    async def _last_words(self, cause: str) -> None:
        """Let be heard what is still to be said, for as long as there is somebody to hear it."""
        phrase = "apology" if self._unable else LAST_WORDS.get(cause)
        if self._gone.is_set() or (phrase is None and cause not in GRACEFUL):
            return
        speaking = asyncio.create_task(self._goodbye(phrase), name="session-goodbye")
        gone = asyncio.create_task(self._gone.wait(), name="session-gone")
        await asyncio.wait((speaking, gone), return_when=asyncio.FIRST_COMPLETED)
        for task in (speaking, gone):
            task.cancel()
        await asyncio.gather(speaking, gone, return_exceptions=True)

    async def _goodbye(self, phrase: str | None) -> None:
        try:
            await self._bot.goodbye(phrase)
        # A farewell that fails must not keep the call from being closed and recorded.
        except Exception:
            logger.exception(f"call {self.session_id}: its last words failed")

    async def _close(self, cause: str, tasks: Sequence[asyncio.Task[None]]) -> None:
        """End everything this session runs, in the order that loses nothing."""
        stopping = asyncio.create_task(self._bot.stop(), name="session-bot-stop")
        # A pipeline that does not end is the server's trouble; the peer does not wait for it.
        await asyncio.wait((stopping,), timeout=BOT_SECONDS)
        self.emit(CallEnded(at_ms=self._now_ms(), cause=cause))
        self._over = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._say_goodbye_to_peer(cause)
        await self.journal.close()
        logger.info(f"call {self.session_id} ended: {cause} after {self.seconds():.1f} s")
        await self._see_bot_end(stopping)
        self.state = "closed"

    async def _say_goodbye_to_peer(self, cause: str) -> None:
        self._line.hush()
        await self._messages.flush()
        failure = self._failure or FAILED.get(cause)
        if failure is not None:
            await self._line.send(self._dialect.error(*failure, True))
        else:
            await self._line.send(self._dialect.status("ended"))
        if not self._gone.is_set() and (cause in GRACEFUL or cause in FAILED):
            await self._line.send(self._dialect.stop())
        await self._channel.close(CLOSE_CODES.get(cause, 1000), cause)

    async def _see_bot_end(self, stopping: asyncio.Task[None]) -> None:
        await asyncio.wait((stopping,), timeout=STUCK_SECONDS)
        if not stopping.done():
            stopping.cancel()
            logger.error(f"call {self.session_id}: its bot did not stop")
        elif not stopping.cancelled() and (error := stopping.exception()) is not None:
            logger.opt(exception=error).error(f"call {self.session_id}: its bot stopped badly")

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
