"""Agents that get ready while the phone rings, between the answer webhook and the stream."""

import asyncio
from dataclasses import dataclass
from uuid import uuid4

from loguru import logger

from bot.call_bot import BotParts, CallBot
from config.agent import AgentConfig
from config.errors import VoiceServerError
from serializer.codecs import AudioFormat
from sessions.facts import CallFacts

#: A stream opens within a second or two of the answer; one that has not by then never will.
EXPIRES_SECONDS = 20.0
MAX_RINGING = 50
#: Building services takes tens of milliseconds; the answer goes out first.
CONNECT_AFTER_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class PreparedBot:
    """A bot that was made before its session, and the id that the session will have."""

    session_id: str
    bot: CallBot


@dataclass(frozen=True, slots=True)
class _Ringing:
    prepared: PreparedBot
    expiry: asyncio.TimerHandle


class RingingCalls:
    """Bots whose vendors connect before their line is there.

    Args:
        parts: What all calls share.
        lead_ms: How far ahead of real time audio is sent.
        expires_seconds: How long a bot waits for its stream.
        most: Bots that may wait at once; further calls get theirs when they start.
    """

    def __init__(
        self,
        parts: BotParts,
        lead_ms: int,
        *,
        expires_seconds: float = EXPIRES_SECONDS,
        most: int = MAX_RINGING,
    ) -> None:
        self._parts = parts
        self._lead_ms = lead_ms
        self._expires_seconds = expires_seconds
        self._most = most
        self._bots: dict[str, _Ringing] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many bots wait."""
        return len(self._bots)

    def ring(
        self,
        call_id: str,
        agent: AgentConfig,
        facts: CallFacts,
        formats: tuple[AudioFormat, AudioFormat],
        session_id: str | None = None,
    ) -> None:
        """Begin to connect for a call that has been announced; never raises.

        Args:
            call_id: The carrier's id.
            formats: What the line will carry, in and out, as far as can be told.
            session_id: Of the session that it will have, where that is settled.
        """
        if call_id in self._bots or len(self._bots) >= self._most:
            return
        session_id, (heard, spoken) = session_id or str(uuid4()), formats
        bot = CallBot(
            agent,
            self._parts,
            heard_format=heard,
            spoken_format=spoken,
            session_id=session_id,
            variables=facts.values(),
            lead_ms=self._lead_ms,
        )
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(self._expires_seconds, self.forget, call_id)
        self._bots[call_id] = _Ringing(PreparedBot(session_id, bot), expiry)
        connecting = asyncio.create_task(self._connect(call_id, bot), name="ringing-connect")
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)

    def take(
        self, call_id: str | None, agent: AgentConfig, formats: tuple[AudioFormat | None, ...]
    ) -> PreparedBot | None:
        """The bot made ready for this call, if it still fits what was negotiated."""
        ringing = self._bots.pop(call_id, None) if call_id is not None else None
        if ringing is None:
            return None
        ringing.expiry.cancel()
        bot = ringing.prepared.bot
        if bot.agent is agent and bot.formats == formats:
            return ringing.prepared
        self._stop(bot)
        return None

    def forget(self, call_id: str) -> None:
        """The call will not come: stop its bot."""
        ringing = self._bots.pop(call_id, None)
        if ringing is not None:
            ringing.expiry.cancel()
            self._stop(ringing.prepared.bot)

    async def close(self) -> None:
        """Stop every bot that still waits."""
        for connecting in tuple(self._connecting):
            connecting.cancel()
        for call_id in list(self._bots):
            self.forget(call_id)
        if self._stopping:
            await asyncio.wait(self._stopping)

    async def _connect(self, call_id: str, bot: CallBot) -> None:
        """Build and connect, unless the stream was quicker, or the caller to hang up."""
        await asyncio.sleep(CONNECT_AFTER_SECONDS)
        await self._parts.factory.ready(bot.agent)
        ringing = self._bots.get(call_id)
        if ringing is None or ringing.prepared.bot is not bot:
            return
        try:
            with logger.contextualize(call=ringing.prepared.session_id):
                await bot.connect_in_turn()
        except VoiceServerError as error:
            logger.warning(f"a ringing call cannot be prepared: {error.message}")
        # It is tried again when the call starts, which can tell its caller.
        except Exception:
            logger.exception("a ringing call cannot be prepared")

    def _stop(self, bot: CallBot) -> None:
        task = asyncio.create_task(_end(bot), name="ringing-stop")
        self._stopping.add(task)
        task.add_done_callback(self._stopped)

    def _stopped(self, task: "asyncio.Task[None]") -> None:
        self._stopping.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("a bot that nobody wanted stopped badly")


async def _end(bot: CallBot) -> None:
    await bot.stop()
    bot.let_go()
