"""Greetings and fallback phrases, spoken before any call needs them.

They are synthesised in the background when an agent is loaded, cached by content in memory and
on disk, and handed out already encoded for the wire: the first audio of a call waits for no
vendor, and a vendor that is away delays nothing.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np
import soxr
from loguru import logger
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_chain,
    wait_fixed,
)

from bot.rendering import render_phrase
from config.agent import AgentConfig
from config.errors import VoiceServerError
from serializer.codecs import AudioFormat
from services.candidates import Candidate
from services.factory import ServiceFactory

#: Rates that phrases are synthesised at; 24 kHz is made from 16 kHz.
PREPARED_RATES_HZ = (8000, 16000)
#: Phrases rendered at once, so that loading many agents leaves room for calls.
PARALLEL_RENDERS = 2
RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0)
RENDER_TIMEOUT_SECONDS = 20.0
#: Phrases kept in memory that no loaded agent has any more: calls that began before its file
#: changed still say them.
KEPT_STALE = 200

Render = Callable[[ServiceFactory, AgentConfig, str, int, Candidate], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A text to be spoken at a rate, by those who may, best first."""

    text: str
    rate_hz: int
    voices: tuple[Candidate, ...]


class PhraseCache:
    """Phrases of every agent, ready for the wire.

    Args:
        factory: Builds the synthesisers.
        folder: Where phrases outlive a restart.
        render: Speaks one phrase; replaced in tests.
    """

    def __init__(
        self, factory: ServiceFactory, folder: Path, render: Render = render_phrase
    ) -> None:
        self._factory = factory
        self._folder = folder
        self._render = render
        self._pcm: dict[str, bytes] = {}
        self._wire: dict[tuple[str, AudioFormat], bytes] = {}
        #: Which of them somebody else than the preferred voice speaks, and who.
        self._stand_ins: dict[str, str] = {}
        self._keys: dict[str, frozenset[str]] = {}
        self._failing: set[str] = set()
        self._rendering: dict[str, asyncio.Lock] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(PARALLEL_RENDERS)

    def prepare(self, agent: AgentConfig) -> None:
        """Begin to make an agent's phrases ready; returns at once."""
        self.forget(agent.agent_id)
        task = asyncio.create_task(self._prepare(agent), name=f"phrases-{agent.agent_id}")
        self._tasks[agent.agent_id] = task

    def forget(self, agent_id: str) -> None:
        """Stop preparing for an agent that changed or went away."""
        self._failing.discard(agent_id)
        self._keys.pop(agent_id, None)
        task = self._tasks.pop(agent_id, None)
        if task is not None:
            task.cancel()
        self._drop_stale()

    async def prepared(self, agent_id: str) -> None:
        """Wait until an agent's phrases are ready, for as long as that takes."""
        task = self._tasks.get(agent_id)
        if task is not None:
            await asyncio.wait([task])

    def wire(
        self, agent: AgentConfig, text: str, line: AudioFormat, language: str | None = None
    ) -> bytes | None:
        """``text`` in the agent's voice, as bytes for the line; None while it is not ready.

        Args:
            language: One of the agent's; by default its own.
        """
        rate_hz = _prepared_rate_hz(line)
        key = self._key(agent, text, rate_hz, self._voices(agent, language)[0])
        payload = self._wire.get((key, line))
        if payload is None and (pcm := self._pcm.get(key)) is not None:
            if rate_hz != line.rate_hz:
                pcm = _resampled(pcm, rate_hz, line.rate_hz)
            payload = self._wire[(key, line)] = line.encode(pcm)
        return payload

    def speaker(
        self, agent: AgentConfig, text: str, line: AudioFormat, language: str | None = None
    ) -> str:
        """Name of the provider whose voice :meth:`wire` gives for the same."""
        voice = self._voices(agent, language)[0]
        key = self._key(agent, text, _prepared_rate_hz(line), voice)
        return self._stand_ins.get(key, voice.provider)

    async def close(self) -> None:
        """Stop all preparing."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    async def _prepare(self, agent: AgentConfig) -> None:
        try:
            phrases = [
                _Phrase(text, rate_hz, self._voices(agent, language))
                for language in agent.spoken_languages
                for rate_hz in PREPARED_RATES_HZ
                for text in dict.fromkeys(agent.fixed_phrases(language).values())
            ]
            self._keys[agent.agent_id] = frozenset(
                self._key(agent, phrase.text, phrase.rate_hz, phrase.voices[0])
                for phrase in phrases
            )
            await asyncio.to_thread(self._factory.load, agent)
        except VoiceServerError as error:
            logger.warning(f"agent {agent.agent_id} is not ready: {error.message}")
            return
        # Side by side: a synthesiser that is away must not keep the recogniser from its work.
        async with asyncio.TaskGroup() as group:
            group.create_task(self._prepare_services(agent))
            for phrase in phrases:
                group.create_task(self._make_ready(agent, phrase))

    async def _prepare_services(self, agent: AgentConfig) -> None:
        try:
            await self._factory.prepare(agent)
        except VoiceServerError as error:
            logger.warning(f"agent {agent.agent_id} is not quite ready: {error.message}")

    async def _make_ready(self, agent: AgentConfig, phrase: _Phrase) -> None:
        key = self._key(agent, phrase.text, phrase.rate_hz, phrase.voices[0])
        # Agents that share a phrase have it synthesised once.
        lock = self._rendering.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                if key not in self._pcm or key in self._stand_ins:
                    pcm = await self._find_or_render(key, agent, phrase)
                    self._keep(key, pcm, None)
        finally:
            self._rendering.pop(key, None)

    def _keep(self, key: str, pcm: bytes, stand_in: str | None) -> None:
        self._pcm[key] = pcm
        if stand_in is None:
            self._stand_ins.pop(key, None)
        else:
            self._stand_ins[key] = stand_in
        for known in [known for known in self._wire if known[0] == key]:
            del self._wire[known]

    async def _find_or_render(self, key: str, agent: AgentConfig, phrase: _Phrase) -> bytes:
        path = self._folder / f"{key}.pcm"
        pcm = await asyncio.to_thread(_read, path)
        if pcm is None:
            pcm = await self._render_patiently(key, agent, phrase)
            await asyncio.to_thread(_write, path, pcm)
        return pcm

    async def _render_patiently(self, key: str, agent: AgentConfig, phrase: _Phrase) -> bytes:
        """Try until the vendor answers; it may be away when the server starts.

        Meanwhile the next voice that can speaks the phrase.
        """
        # A vendor's client may raise anything; the next try may find it well again.
        tries = AsyncRetrying(
            wait=wait_chain(*map(wait_fixed, RETRY_SECONDS)),
            retry=retry_if_exception_type(Exception),
            before_sleep=partial(self._tell_of_failure, agent.agent_id),
        )
        async for attempt in tries:
            with attempt:
                try:
                    return await self._render_once(agent, phrase, phrase.voices[0])
                except Exception:
                    if key not in self._pcm:
                        await self._have_others_speak(key, agent, phrase)
                    raise
        raise AssertionError("it is tried for ever")

    async def _have_others_speak(self, key: str, agent: AgentConfig, phrase: _Phrase) -> None:
        """Find somebody else who speaks a phrase for the time being."""
        for voice in phrase.voices[1:]:
            other = self._key(agent, phrase.text, phrase.rate_hz, voice)
            path = self._folder / f"{other}.pcm"
            pcm = await asyncio.to_thread(_read, path)
            if pcm is None:
                # As above: whatever is wrong with this voice, the next may do.
                try:
                    pcm = await self._render_once(agent, phrase, voice)
                except Exception as error:
                    logger.debug(f"{voice.provider} cannot stand in: {error}")
                    continue
                await asyncio.to_thread(_write, path, pcm)
            self._keep(key, pcm, voice.provider)
            return

    async def _render_once(self, agent: AgentConfig, phrase: _Phrase, voice: Candidate) -> bytes:
        async with self._slots, asyncio.timeout(RENDER_TIMEOUT_SECONDS):
            return await self._render(self._factory, agent, phrase.text, phrase.rate_hz, voice)

    def _voices(self, agent: AgentConfig, language: str | None) -> tuple[Candidate, ...]:
        """Who may speak the phrases of a language: its chain, then a voice of this process."""
        language = language or agent.language
        voices = self._factory.candidates("tts", agent, language)
        last = self._factory.stand_in_voice(language)
        if last is not None and last.provider not in {voice.provider for voice in voices}:
            voices = (*voices, last)
        return voices

    def _tell_of_failure(self, agent_id: str, state: RetryCallState) -> None:
        """An agent's first failure is news, those of its other phrases and later tries are not."""
        error = state.outcome.exception() if state.outcome is not None else None
        level = "DEBUG" if agent_id in self._failing else "WARNING"
        self._failing.add(agent_id)
        logger.log(
            level,
            f"agent {agent_id}: its phrases cannot be synthesised yet "
            f"({type(error).__name__}: {error}); tried again until they can",
        )

    def _drop_stale(self) -> None:
        """Forget the oldest phrases that no loaded agent has."""
        in_use = frozenset[str]().union(*self._keys.values())
        stale = [key for key in self._pcm if key not in in_use]
        for key in stale[: max(0, len(stale) - KEPT_STALE)]:
            del self._pcm[key]
            self._stand_ins.pop(key, None)
        for known in [known for known in self._wire if known[0] not in self._pcm]:
            del self._wire[known]

    def _key(
        self, agent: AgentConfig, text: str, rate_hz: int, voice: Candidate | None = None
    ) -> str:
        voice = voice or self._voices(agent, None)[0]
        spec, options = self._factory.chosen("tts", agent, voice)
        what = (spec.name, options.model_dump_json(), voice.language, text, str(rate_hz))
        return hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]


def _prepared_rate_hz(line: AudioFormat) -> int:
    return 16000 if line.rate_hz == 24000 else line.rate_hz


def _resampled(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    samples = np.frombuffer(pcm, dtype=np.int16)
    resampled: bytes = soxr.resample(samples, from_hz, to_hz, quality="HQ").tobytes()
    return resampled


def _read(path: Path) -> bytes | None:
    """What is stored; None where there is nothing or it is no 16-bit audio."""
    try:
        pcm = path.read_bytes()
    except OSError:
        return None
    return pcm if pcm and len(pcm) % 2 == 0 else None


def _write(path: Path, pcm: bytes) -> None:
    part = path.with_name(f"{path.stem}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(pcm)
        part.replace(path)
    except OSError as error:
        # The phrase is in memory all the same; the next start makes it again.
        logger.warning(f"a phrase could not be stored: {error}")
        part.unlink(missing_ok=True)
