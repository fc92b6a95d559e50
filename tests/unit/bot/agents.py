"""Agents, and calls with them, for the bot's tests."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from bot.call_bot import BotParts, CallBot
from bot.events import AgentSpeech, CallEvent
from bot.phrases import PhraseCache
from bot.vad import VadEngine
from config.agent import AgentConfig
from config.providers import ProviderOptions, ProviderSpec
from config.settings import load_settings
from serializer.codecs import MULAW_8K, AudioFormat
from services.candidates import Candidate
from services.factory import ServiceFactory
from services.registry import catalog as real_catalog
from tests.unit.bot.fake_services import (
    WORD_MS,
    FakeLLM,
    FakeLLMOptions,
    FakeSTT,
    FakeSTTOptions,
    FakeTTS,
    FakeTTSOptions,
    fake_catalog,
)
from tests.unit.bot.fakes import FakeLine

E = TypeVar("E", bound=CallEvent)


def make_agent(
    *,
    stt: Mapping[str, Any] | None = None,
    llm: Mapping[str, Any] | None = None,
    tts: Mapping[str, Any] | None = None,
    script: ProviderOptions | None = None,
    **fields: Any,
) -> AgentConfig:
    """An agent of the fake providers.

    Args:
        script: Options of the real ``script`` model, in place of the fake one.
    """
    agent = AgentConfig.model_validate(
        {
            "agent_id": "tester",
            "language": "en-IN",
            "stt": {"provider": "fake"},
            "llm": {"provider": "script" if script else "fake"},
            "tts": {"provider": "fake"},
            **fields,
        }
    )
    return agent.with_options(
        {
            ("stt", "fake"): FakeSTTOptions(**(stt or {})),
            ("llm", "script" if script else "fake"): script or FakeLLMOptions(**(llm or {})),
            ("tts", "fake"): FakeTTSOptions(**(tts or {})),
        }
    )


async def buzz(
    _factory: ServiceFactory, _agent: AgentConfig, text: str, rate_hz: int, _voice: Candidate
) -> bytes:
    """Renders a phrase as the fake voice would."""
    return b"\x00\x20\x00\xe0" * (len(text.split()) * WORD_MS * rate_hz // 1000 // 2)


@asynccontextmanager
async def make_factory(extra: Sequence[ProviderSpec] = ()) -> AsyncIterator[ServiceFactory]:
    """A factory of the fakes, the real script, and others."""
    script = real_catalog.find("llm", "script")
    assert script is not None
    async with aiohttp.ClientSession() as http:
        yield ServiceFactory(fake_catalog([script, *extra]), load_settings(env={}), http)


@dataclass
class Call:
    """One call under test."""

    bot: CallBot
    line: FakeLine
    phrases: PhraseCache
    events: list[CallEvent] = field(default_factory=list)
    ends: list[tuple[str, str | None]] = field(default_factory=list)

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def stt(self) -> FakeSTT:
        """Its recogniser."""
        assert FakeSTT.last is not None
        return FakeSTT.last

    @property
    def llm(self) -> FakeLLM:
        """Its model."""
        assert FakeLLM.last is not None
        return FakeLLM.last

    @property
    def tts(self) -> FakeTTS:
        """Its voice."""
        assert FakeTTS.last is not None
        return FakeTTS.last

    async def start(self) -> None:
        """Answer the call."""
        await self.bot.start(
            self.line,
            emit=self.events.append,
            on_end=lambda cause, target: self.ends.append((cause, target)),
            started_at=asyncio.get_running_loop().time(),
        )

    async def user_says(self, text: str, seconds: float = 1.0) -> None:
        """Speak for a while, and be understood."""
        await self.user_starts()
        await asyncio.sleep(seconds)
        await self.user_stops()
        await self.stt.heard(text)

    async def user_starts(self) -> None:
        """Voice activity begins."""
        await self.bot._hearing._voice_changed(True, 160.0)

    async def user_stops(self) -> None:
        """Voice activity ends."""
        await self.bot._hearing._voice_changed(False, 224.0)

    def spoken(self) -> list[tuple[str, bool]]:
        """What of the agent was heard, and whether it was cut."""
        return [(event.heard_text, event.interrupted) for event in self.of(AgentSpeech)]

    @property
    def context(self) -> list[tuple[str, str]]:
        """Role and text of the conversation's messages."""
        built = self.bot._built
        assert built is not None
        return [
            (str(message["role"]), str(message.get("content")))
            for message in built.context.messages
            if isinstance(message, dict)
        ]


@asynccontextmanager
async def make_call(
    agent: AgentConfig,
    folder: Path,
    *,
    cached: bool = True,
    acks: bool = False,
    start: bool = True,
    heard_format: AudioFormat = MULAW_8K,
    extra: Sequence[ProviderSpec] = (),
) -> AsyncIterator[Call]:
    """A call with ``agent``, stopped at the end of the block.

    Args:
        cached: Whether the agent's phrases are ready.
        acks: Whether the line confirms.
        start: Whether it has been answered.
        extra: Providers besides the fakes.
    """
    async with make_factory(extra) as factory:
        vad = VadEngine()
        await vad.start()
        phrases = PhraseCache(factory, folder, render=buzz)
        if cached:
            phrases.prepare(agent)
            await phrases.prepared(agent.agent_id)
        bot = CallBot(
            agent,
            BotParts(factory=factory, vad=vad, phrases=phrases),
            heard_format=heard_format,
            spoken_format=MULAW_8K,
            session_id="s-1",
            variables={},
        )
        call = Call(bot, FakeLine(acks=acks), phrases)
        try:
            if start:
                await call.start()
            yield call
        finally:
            await bot.stop()
            await phrases.close()
            await vad.stop()
