"""Phrases are ready before a call, whatever the vendor does."""

import asyncio
from pathlib import Path

from bot.phrases import KEPT_STALE, PARALLEL_RENDERS, PhraseCache
from bot.rendering import render_phrase
from config.agent import AgentConfig
from config.errors import ProviderError
from serializer.codecs import MULAW_8K, PCM_16K, PCM_24K
from services.candidates import Candidate
from services.factory import ServiceFactory
from services.registry import catalog as real_catalog
from tests.unit.bot.agents import make_agent, make_factory
from tests.virtual_time import virtual_time

GREETING = "Welcome to the line."


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Its files, sorted."""
    return sorted(folder.rglob(pattern))


class Vendor:
    """A synthesiser that counts, may be away, and may refuse one text."""

    def __init__(self) -> None:
        self.rendered: list[tuple[str, int]] = []
        self.away = False
        self.refuses = ""
        self.at_once = 0
        self.most_at_once = 0

    async def render(
        self,
        _factory: ServiceFactory,
        _agent: AgentConfig,
        text: str,
        rate_hz: int,
        _voice: Candidate,
    ) -> bytes:
        """See :data:`bot.phrases.Render`."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.2)
            if self.away:
                raise ProviderError("away", "away", provider="fake", stage="tts", retryable=True)
            if text == self.refuses:
                raise KeyError("a bug in the vendor's client")
        finally:
            self.at_once -= 1
        self.rendered.append((text, rate_hz))
        return b"\x01\x00" * rate_hz


@virtual_time
async def test_ready_in_memory_on_disk_and_at_every_rate(tmp_path: Path) -> None:
    async with make_factory() as factory:
        agent, vendor = make_agent(greeting=GREETING), Vendor()
        cache = PhraseCache(factory, tmp_path / "a" / "b", vendor.render)
        assert cache.wire(agent, GREETING, MULAW_8K) is None
        cache.prepare(agent)
        await cache.prepared("tester")
        for line, size in ((MULAW_8K, 8000), (PCM_16K, 32000), (PCM_24K, 48000)):
            payload = cache.wire(agent, GREETING, line)
            assert payload is not None and abs(len(payload) - size) <= 4
            assert cache.wire(agent, GREETING, line) is payload
        assert cache.wire(agent, "something else", MULAW_8K) is None
        first = len(vendor.rendered)
        again = PhraseCache(factory, tmp_path / "a" / "b", vendor.render)
        again.prepare(agent)
        await again.prepared("tester")
        assert len(vendor.rendered) == first
        assert again.wire(agent, GREETING, MULAW_8K) == cache.wire(agent, GREETING, MULAW_8K)
        assert files_in(tmp_path, "*.part") == []


@virtual_time
async def test_a_vendor_that_is_away_delays_nothing_and_is_tried_again(tmp_path: Path) -> None:
    async with make_factory() as factory:
        agent, vendor = make_agent(greeting=GREETING), Vendor()
        vendor.away = True
        cache = PhraseCache(factory, tmp_path, vendor.render)
        cache.prepare(agent)
        await asyncio.sleep(60)
        assert cache.wire(agent, GREETING, MULAW_8K) is None
        vendor.away = False
        await cache.prepared("tester")
        assert cache.wire(agent, GREETING, MULAW_8K) is not None
        await cache.close()


@virtual_time
async def test_a_phrase_that_always_fails_holds_up_no_other(tmp_path: Path) -> None:
    async with make_factory() as factory:
        agent, vendor = make_agent(greeting=GREETING, call={"farewell": "Bye."}), Vendor()
        vendor.refuses = GREETING
        cache = PhraseCache(factory, tmp_path, vendor.render)
        cache.prepare(agent)
        await asyncio.sleep(10)
        assert cache.wire(agent, "Bye.", MULAW_8K) is not None
        assert cache.wire(agent, GREETING, MULAW_8K) is None
        await cache.close()


@virtual_time
async def test_a_changed_agent_has_its_new_words_and_live_calls_keep_theirs(
    tmp_path: Path,
) -> None:
    async with make_factory() as factory:
        old, new = make_agent(greeting="Old."), make_agent(greeting="New.")
        cache = PhraseCache(factory, tmp_path, Vendor().render)
        cache.prepare(old)
        await cache.prepared("tester")
        cache.prepare(new)
        await cache.prepared("tester")
        assert cache.wire(new, "New.", MULAW_8K) is not None
        assert cache.wire(old, "Old.", MULAW_8K) is not None


@virtual_time
async def test_memory_is_bounded_however_often_an_agent_changes(tmp_path: Path) -> None:
    async with make_factory() as factory:
        cache = PhraseCache(factory, tmp_path, Vendor().render)
        for number in range(KEPT_STALE):
            cache.prepare(make_agent(greeting=f"Number {number}."))
            await cache.prepared("tester")
        last = make_agent(greeting=f"Number {KEPT_STALE - 1}.")
        assert cache.wire(last, last.greeting, MULAW_8K) is not None
        cache.forget("tester")
        assert len(cache._pcm) <= KEPT_STALE
        assert cache._tasks == {} and cache._rendering == {}


@virtual_time
async def test_few_at_once_and_shared_phrases_once(tmp_path: Path) -> None:
    async with make_factory() as factory:
        vendor = Vendor()
        cache = PhraseCache(factory, tmp_path, vendor.render)
        agents = [make_agent(agent_id=f"agent-{i}", greeting=f"I am {i}.") for i in range(8)]
        for agent in agents:
            cache.prepare(agent)
        for agent in agents:
            await cache.prepared(agent.agent_id)
        assert vendor.most_at_once == PARALLEL_RENDERS
        assert len(vendor.rendered) == len(set(vendor.rendered))


@virtual_time
async def test_a_spoilt_file_is_made_anew(tmp_path: Path) -> None:
    async with make_factory() as factory:
        agent, vendor = make_agent(greeting=GREETING), Vendor()
        first = PhraseCache(factory, tmp_path, vendor.render)
        first.prepare(agent)
        await first.prepared("tester")
        files = files_in(tmp_path, "*.pcm")
        files[0].write_bytes(b"")
        files[1].write_bytes(b"odd")
        files[2].unlink()
        files[2].mkdir()
        vendor.rendered.clear()
        cache = PhraseCache(factory, tmp_path, vendor.render)
        cache.prepare(agent)
        await cache.prepared("tester")
        assert len(vendor.rendered) == 3
        assert files[0].stat().st_size > 0 and files[1].stat().st_size > 3
        assert cache.wire(agent, GREETING, MULAW_8K) is not None


@virtual_time
async def test_forgotten_and_closed_while_rendering(tmp_path: Path) -> None:
    async with make_factory() as factory:
        agent = make_agent(greeting=GREETING)
        cache = PhraseCache(factory, tmp_path, Vendor().render)
        cache.prepare(agent)
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(cache.prepared("tester"))
        await asyncio.sleep(0)
        cache.forget("tester")
        await waiting
        await cache.prepared("nobody")
        cache.prepare(agent)
        await asyncio.sleep(0.1)
        await cache.close()
        assert cache._rendering == {}


@virtual_time
async def test_a_phrase_through_a_pipeline_of_one_service() -> None:
    async with make_factory() as factory:
        pcm = await render_phrase(factory, make_agent(), "one two three", 8000)
        assert len(pcm) == 3 * 200 * 16
        resampled = await render_phrase(factory, make_agent(tts={"rate_hz": 24000}), "one", 8000)
        assert abs(len(resampled) - 200 * 16) <= 8
        for trouble in ({"silent": True}, {"fails": True}):
            try:
                await render_phrase(factory, make_agent(tts=trouble), "one", 8000)
            except ProviderError as error:
                assert error.stage == "tts"
            else:
                raise AssertionError("no audio is an error")


class Choir(Vendor):
    """Voices of several providers, of which some may be away."""

    def __init__(self, *absent: str) -> None:
        super().__init__()
        self.absent = set(absent)

    async def render(
        self,
        factory: ServiceFactory,
        agent: AgentConfig,
        text: str,
        rate_hz: int,
        voice: Candidate,
    ) -> bytes:
        """See :data:`bot.phrases.Render`."""
        self.away = voice.provider in self.absent
        pcm = await super().render(factory, agent, text, rate_hz, voice)
        return pcm if voice.provider == "fake" else pcm[: len(pcm) // 2]


ESPEAK = real_catalog.find("tts", "espeak")


@virtual_time
async def test_another_voice_speaks_until_the_preferred_one_can(tmp_path: Path) -> None:
    assert ESPEAK is not None
    async with make_factory([ESPEAK]) as factory:
        agent, vendor = make_agent(greeting=GREETING), Choir("fake")
        cache = PhraseCache(factory, tmp_path, vendor.render)
        cache.prepare(agent)
        await asyncio.sleep(20)
        stood_in = cache.wire(agent, GREETING, MULAW_8K)
        assert stood_in is not None and len(stood_in) == 4000
        assert cache.speaker(agent, GREETING, MULAW_8K) == "espeak"
        vendor.absent.clear()
        await cache.prepared("tester")
        preferred = cache.wire(agent, GREETING, MULAW_8K)
        assert preferred is not None and len(preferred) == 8000
        assert cache.speaker(agent, GREETING, MULAW_8K) == "fake"
        await cache.close()


@virtual_time
async def test_what_stood_in_is_not_kept_in_the_preferred_voices_place(tmp_path: Path) -> None:
    assert ESPEAK is not None
    async with make_factory([ESPEAK]) as factory:
        agent, vendor = make_agent(greeting=GREETING), Choir("fake")
        first = PhraseCache(factory, tmp_path, vendor.render)
        first.prepare(agent)
        await asyncio.sleep(20)
        await first.close()
        vendor.absent.clear()
        cache = PhraseCache(factory, tmp_path, vendor.render)
        cache.prepare(agent)
        await cache.prepared("tester")
        assert cache.speaker(agent, GREETING, MULAW_8K) == "fake"
        assert len(cache.wire(agent, GREETING, MULAW_8K) or b"") == 8000


@virtual_time
async def test_phrases_are_ready_in_every_language_of_the_agent(tmp_path: Path) -> None:
    async with make_factory() as factory:
        agent = make_agent(greeting=GREETING, languages=("hi", "ta"))
        cache = PhraseCache(factory, tmp_path, Vendor().render)
        cache.prepare(agent)
        await cache.prepared("tester")
        for language in agent.spoken_languages:
            for name in ("apology", "no_input", "farewell", "hold_0"):
                text = agent.phrases(language)[name]
                assert cache.wire(agent, text, MULAW_8K, language) is not None, (language, name)
