"""One call from admission to closing: ``admitted -> running -> ending -> closed``."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from loguru import logger

from bot.call_bot import BotParts, CallBot
from bot.events import (
    AgentSpeech,
    AgentStateChanged,
    AgentText,
    CallEnded,
    CallerSpeechStarted,
    CallerTranscript,
    CallEvent,
    CallStarted,
    CarrierNotice,
    Degraded,
    DtmfReceived,
    TurnMetrics,
)
from config.agent import AgentConfig
from config.errors import VoiceServerError, WireError
from serializer.base import FATAL_WIRE_CODES, Dialect
from serializer.messages import (
    Control,
    Dtmf,
    Media,
    Message,
    Ping,
    PlaybackCleared,
    PlaybackReached,
    StreamStopped,
    TextInput,
)
from sessions import metrics
from sessions.channel import Channel
from sessions.facts import CallFacts
from sessions.journal import CallJournal, JournalWriter
from sessions.journal_header import journal_header
from sessions.line import Line
from sessions.live import LiveEvents

#: Bad messages in a row after which a peer is taken to speak something else.
MAX_BAD_MESSAGES = 20
#: Caller audio that may come ahead of real time before packets are dropped.
MAX_AHEAD_MS = 2000.0
NO_MEDIA_SECONDS = 30.0
#: Client messages about what is said that may wait for a slow socket.
MAX_WAITING_MESSAGES = 256
CLOSE_SECONDS = 5.0

State = Literal["admitted", "running", "ending", "closed"]

#: End causes after which the line is still up, so that what is being said may be finished.
GRACEFUL = frozenset({"agent_hangup", "transferred", "max_duration", "silence", "drained"})
#: What a client is told when the server itself is at fault: code and message.
FAILED = {
    "provider_failed": ("provider_failed", "a service that this agent needs has failed"),
    "internal_error": ("internal", "the server made a mistake; its log says which"),
}
#: Phrase to say before ending for a cause.
LAST_WORDS = {"max_duration": "farewell", "drained": "farewell"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParts:
    """What all sessions of a process share."""

    bot: BotParts
    journals: JournalWriter
    live: LiveEvents
    lead_ms: int


class CallSession:
    """One live call. Owns its bot, its journal, its deadlines and their end.

    Args:
        agent: Frozen for the call.
        facts: Who calls whom.
        channel: The open socket.
        dialect: Negotiated: both its formats are known.
        parts: What all sessions share.
        bot: One that was made for this call while the phone rang.
    """

    def __init__(
        self,
        agent: AgentConfig,
        facts: CallFacts,
        channel: Channel,
        dialect: Dialect,
        parts: SessionParts,
        bot: CallBot | None = None,
    ) -> None:
        self.session_id = str(uuid4())
        self.agent = agent
        self.facts = facts
        self.state: State = "admitted"
        self.started_wall = time.time()
        self._channel = channel
        self._dialect = dialect
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._transfer_target: str | None = None
        self._messages: asyncio.Queue[str | bytes] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self._bad_in_a_row = 0
        self._media_ms = 0.0
        self._last_media_at = self._started_at
        self._last_activity_at = self._started_at
        heard, spoken = dialect.input_format, dialect.output_format
        assert heard is not None and spoken is not None
        self._heard_format = heard
        header = journal_header(self, dialect, heard, spoken)
        self.journal: CallJournal = parts.journals.open(header)
        self._line = Line(channel, dialect, self.journal, self._to_session_ms)
        self._bot = bot or CallBot(
            agent,
            parts.bot,
            heard_format=heard,
            spoken_format=spoken,
            session_id=self.session_id,
            variables=facts.values(),
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
        cause = "internal_error"
        tasks = [asyncio.create_task(self._pump(), name="session-pump")]
        try:
            self.state = "running"
            self._announce_start()
            await self._line.send(self._dialect.ready(self.session_id))
            await self._bot.start(
                self._line,
                emit=self.emit,
                on_end=self._bot_wants_end,
                started_at=self._started_at,
            )
            tasks.append(asyncio.create_task(self._read(held), name="session-reader"))
            cause = await self._ended
            self.state = "ending"
            if cause in GRACEFUL:
                await self._bot.goodbye(LAST_WORDS.get(cause))
        except (OSError, TimeoutError):
            cause = "peer_lost"
        except VoiceServerError as error:
            logger.error(f"call {self.session_id}: {error.message}")
            cause = "provider_failed"
        finally:
            self.state = "ending"
            await self._close(cause, tasks)
        return cause

    def end(self, cause: str) -> None:
        """Have the call end; the first cause given counts."""
        if not self._ended.done():
            self._ended.set_result(cause)

    def check(self, now: float) -> None:
        """Look at the call's deadlines; called about once a second with the loop's time."""
        if self._ended.done():
            return
        call = self.agent.call
        if now - self._started_at >= call.max_duration_seconds:
            self.end("max_duration")
        elif self.facts.direction != "client" and now - self._last_media_at >= NO_MEDIA_SECONDS:
            self.end("peer_lost")
        elif 0 < call.silence_hangup_seconds <= now - self._last_activity_at:
            self.end("silence")

    def notice(self, name: str, detail: str) -> None:
        """Keep something that the carrier told over a webhook."""
        self.emit(CarrierNotice(at_ms=self._now_ms(), name=name, detail=detail))

    def emit(self, event: CallEvent) -> None:
        """Hand an event to every sink; never blocks, never raises."""
        self.journal.event(event)
        self._parts.live.publish(self.keys, self.session_id, event)
        _count(event)
        if isinstance(event, (CallerSpeechStarted, CallerTranscript, DtmfReceived, AgentSpeech)):
            self._last_activity_at = self._loop.time()
        message = _for_peer(self._dialect, event)
        if message is not None and not self._messages.full():
            self._messages.put_nowait(message)

    async def _close(self, cause: str, tasks: Sequence[asyncio.Task[None]]) -> None:
        """End everything this session runs, in the order that loses nothing."""
        if cause in GRACEFUL:
            with suppress(OSError, TimeoutError):
                await self._line.send(self._dialect.stop())
        elif cause in FAILED:
            with suppress(OSError, TimeoutError):
                await self._line.send(self._dialect.error(*FAILED[cause], True))
        await self._bot.stop()
        self.emit(CallEnded(at_ms=self._now_ms(), cause=cause))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._flush_messages()
                await self._channel.close(*_close_code(cause))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.journal.close()
        self.state = "closed"
        logger.info(f"call {self.session_id} ended: {cause} after {self.seconds():.1f} s")

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

    async def _read(self, held: Sequence[Message]) -> None:
        """Take what the peer sends until it goes; its end is the call's end."""
        cause = "caller_hangup"
        try:
            for message in held:
                await self._take(message)
            while (data := await self._channel.receive()) is not None:
                if not await self._take_data(data):
                    cause = "wire_error"
                    break
        except OSError:
            cause = "peer_lost"
        self.end(cause)

    async def _take_data(self, data: str | bytes) -> bool:
        """Understand and act on one message; False when the socket cannot go on."""
        try:
            message = self._dialect.decode(data)
        except WireError as error:
            return not await self._count_bad(error)
        self._bad_in_a_row = 0
        await self._take(message)
        return True

    async def _count_bad(self, error: WireError) -> bool:
        """Count a bad message and tell the peer.

        Returns:
            Whether the socket cannot go on.
        """
        metrics.WIRE_MESSAGES_BAD.labels(error.code).inc()
        self._bad_in_a_row += 1
        fatal = error.code in FATAL_WIRE_CODES or self._bad_in_a_row >= MAX_BAD_MESSAGES
        code = "too_many_errors" if self._bad_in_a_row >= MAX_BAD_MESSAGES else error.code
        await self._line.send(self._dialect.error(code, error.message, fatal))
        return fatal

    async def _take(self, message: Message) -> None:
        match message:
            case Media(payload=payload):
                await self._take_media(payload)
            case Dtmf(digit=digit):
                await self._bot.press(digit)
            case PlaybackReached(name=name):
                self._bot.playout.played(name)
            case PlaybackCleared():
                self._bot.playout.cleared()
            case StreamStopped():
                self.end("caller_hangup")
            case Control(action=action):
                await self._control(action)
            case TextInput(text=text):
                await self._bot.read(text)
            case Ping():
                await self._line.send(self._dialect.pong())
            case _:
                pass

    async def _take_media(self, payload: bytes) -> None:
        now = self._loop.time()
        self._last_media_at = now
        elapsed_ms = (now - self._started_at) * 1000
        # A pause in the stream is no credit for a burst later.
        self._media_ms = max(self._media_ms, elapsed_ms - MAX_AHEAD_MS)
        if self._media_ms > elapsed_ms + MAX_AHEAD_MS:
            metrics.MEDIA_DROPPED.labels("too_fast").inc()
            return
        self._media_ms += self._heard_format.duration_ms(len(payload))
        self.journal.caller_audio(elapsed_ms, payload)
        await self._bot.hear(payload)

    async def _control(self, action: str) -> None:
        if action == "end":
            self.end("client_end")
        elif action == "interrupt":
            await self._bot.interrupt()
        else:
            self._bot.pause(action == "pause")

    async def _pump(self) -> None:
        """Send what the client is told besides audio."""
        while True:
            await self._line.send(await self._messages.get())

    async def _flush_messages(self) -> None:
        while not self._messages.empty():
            await self._line.send(self._messages.get_nowait())

    def _bot_wants_end(self, cause: str, target: str | None) -> None:
        self._transfer_target = target
        if target is not None:
            self.notice("transfer_requested", "the agent asked to hand the call over")
        self.end(cause)

    def _now_ms(self) -> float:
        return self.seconds() * 1000

    def _to_session_ms(self, loop_time: float) -> float:
        return (loop_time - self._started_at) * 1000


def _close_code(cause: str) -> tuple[int, str]:
    """WebSocket close code and reason for an end cause."""
    codes = {"wire_error": 1008, "internal_error": 1011, "provider_failed": 1011, "drained": 1001}
    return codes.get(cause, 1000), cause


def _for_peer(dialect: Dialect, event: CallEvent) -> str | bytes | None:
    """The message with which a client program is told of an event; carriers have none."""
    match event:
        case CallerTranscript(text=text, final=final):
            return dialect.transcript("user", text, final)
        case AgentText(text=text):
            return dialect.transcript("agent", text, False)
        case AgentSpeech(heard_text=text):
            return dialect.transcript("agent", text, True) if text else None
        case AgentStateChanged(state=state):
            return dialect.status(state)
        case CallEnded():
            return dialect.status("ended")
        case TurnMetrics():
            return dialect.metrics(
                event.turn,
                response_ms=event.response_ms,
                stt_ms=event.stt_ms,
                llm_ms=event.llm_ms,
                tts_ms=event.tts_ms,
            )
        case _:
            return None


def _count(event: CallEvent) -> None:
    match event:
        case Degraded(stage=stage, kind=kind):
            metrics.ERRORS.labels(stage, kind).inc()
        case TurnMetrics(response_ms=response_ms) if response_ms is not None:
            metrics.RESPONSE_SECONDS.observe(response_ms / 1000)
            for stage in ("stt", "llm", "tts"):
                value_ms = getattr(event, f"{stage}_ms")
                if value_ms is not None:
                    metrics.STAGE_SECONDS.labels(stage).observe(value_ms / 1000)
        case _:
            pass
