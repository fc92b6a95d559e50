"""Agents that get ready while the phone rings, between the answer webhook and the stream."""

import asyncio
from dataclasses import dataclass

from loguru import logger

from bot.call_bot import BotParts, CallBot
from config.agent import AgentConfig
from config.errors import ConfigError
from serializer.codecs import AudioFormat
from sessions.facts import CallFacts

#: A stream opens within a second or two of the answer; one that has not by then never will.
EXPIRES_SECONDS = 20.0
MAX_RINGING = 50
#: Building services takes tens of milliseconds; the answer goes out first.
CONNECT_AFTER_SECONDS = 0.01


@dataclass(slots=True)
class _Ringing:
    bot: CallBot
    expiry: asyncio.TimerHandle


class RingingCalls:
    """Bots whose vendors connect before their line is there.

    Args:
        parts: What all calls share.
        lead_ms: How far ahead of real time audio is sent.
    """

    def __init__(self, parts: BotParts, lead_ms: int) -> None:
        self._parts = parts
        self._lead_ms = lead_ms
        self._bots: dict[str, _Ringing] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def ring(
        self, call_id: str, agent: AgentConfig, facts: CallFacts, formats: tuple[AudioFormat, ...]
    ) -> None:
        """Begin to connect for a call that has been announced; never raises.

        Args:
            call_id: The carrier's id.
            formats: What the line will carry, in and out, as far as can be told.
        """
        if call_id in self._bots or len(self._bots) >= MAX_RINGING:
            return
        heard, spoken = formats
        bot = CallBot(
            agent,
            self._parts,
            heard_format=heard,
            spoken_format=spoken,
            session_id=call_id,
            variables=facts.values(),
            lead_ms=self._lead_ms,
        )
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(EXPIRES_SECONDS, self._drop, call_id)
        self._bots[call_id] = _Ringing(bot, expiry)
        loop.call_later(CONNECT_AFTER_SECONDS, self._connect, call_id)

    def take(
        self, call_id: str | None, agent: AgentConfig, formats: tuple[AudioFormat | None, ...]
    ) -> CallBot | None:
        """The bot made ready for this call, if it still fits what was negotiated."""
        ringing = self._bots.pop(call_id, None) if call_id is not None else None
        if ringing is None:
            return None
        ringing.expiry.cancel()
        if ringing.bot.agent is agent and ringing.bot.formats == formats:
            return ringing.bot
        self._stop(ringing.bot)
        return None

    async def close(self) -> None:
        """Stop every bot that still waits."""
        for call_id in list(self._bots):
            self._drop(call_id)
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _connect(self, call_id: str) -> None:
        """Build and connect, unless the stream was quicker."""
        ringing = self._bots.get(call_id)
        if ringing is None:
            return
        try:
            ringing.bot.connect()
        except ConfigError as error:
            logger.warning(f"a ringing call cannot be prepared: {error.message}")

    def _drop(self, call_id: str) -> None:
        ringing = self._bots.pop(call_id, None)
        if ringing is not None:
            ringing.expiry.cancel()
            self._stop(ringing.bot)

    def _stop(self, bot: CallBot) -> None:
        task = asyncio.create_task(bot.stop(), name="ringing-stop")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
