"""Voice activity on real speech, for one call and for many."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.turns import vad_params
from bot.vad import IDLE_SECONDS, VadEngine, VoiceActivity
from simulators.speech import Speech
from tests.virtual_time import virtual_time

Pcm = NDArray[np.int16]


@dataclass(eq=False)
class Listener:
    """One call's changes, with the time of the audio fed until then."""

    rate_hz: int
    raises: bool = False
    fed_ms: float = 0.0
    changes: list[tuple[bool, float]] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.activity = VoiceActivity(self.rate_hz, self.changed, vad_params())

    async def changed(self, speaking: bool, for_ms: float) -> None:
        """Take a change."""
        self.changes.append((speaking, self.fed_ms))
        self.lengths.append(for_ms)
        if self.raises:
            raise ValueError("a bug in one call")


@pytest.fixture(scope="module")
def sentence() -> Pcm:
    """Two seconds or so of English at 16 kHz."""
    return Speech().pcm("what are your opening hours today", rate_hz=16000)


async def play(engine: VadEngine, listeners: dict[Listener, Pcm], chunk_ms: int = 40) -> None:
    """Feed every listener its audio in step, in real time of the virtual clock."""
    longest = max(len(pcm) / listener.rate_hz for listener, pcm in listeners.items())
    for step in range(int(longest * 1000 / chunk_ms) + 1):
        for listener, pcm in listeners.items():
            size = listener.rate_hz * chunk_ms // 1000
            chunk = pcm[step * size : (step + 1) * size]
            if len(chunk):
                listener.fed_ms += len(chunk) * 1000 / listener.rate_hz
                engine.feed(listener.activity, chunk.tobytes())
        await asyncio.sleep(chunk_ms / 1000)


def with_silence(pcm: Pcm, rate_hz: int, before_ms: int = 600, after_ms: int = 800) -> Pcm:
    """The same with quiet noise around it."""
    noise = np.random.default_rng(7)
    before = noise.normal(0, 20, before_ms * rate_hz // 1000).astype(np.int16)
    after = noise.normal(0, 20, after_ms * rate_hz // 1000).astype(np.int16)
    return np.concatenate([before, pcm, after])


def at(pcm: Pcm, rate_hz: int) -> Pcm:
    """16 kHz speech at another rate."""
    return pcm if rate_hz == 16000 else pcm[:: 16000 // rate_hz].copy()


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@virtual_time
async def test_speech_is_found_soon_and_so_is_its_end(rate_hz: int, sentence: Pcm) -> None:
    engine = VadEngine()
    await engine.start()
    speech = at(sentence, rate_hz)
    listener = Listener(rate_hz)
    await play(engine, {listener: with_silence(speech, rate_hz)})
    await engine.stop()
    (first, began_ms), (last, ended_ms) = listener.changes[0], listener.changes[-1]
    assert (first, last) == (True, False)
    assert 0 <= began_ms - 600 <= 250
    speech_ms = len(speech) * 1000 / rate_hz
    assert 0 <= ended_ms - (600 + speech_ms) <= 300
    assert 160 <= listener.lengths[0] <= 250 and listener.lengths[-1] == 224


@virtual_time
async def test_noise_and_silence_are_no_speech() -> None:
    engine = VadEngine()
    await engine.start()
    rng = np.random.default_rng(3)
    listeners = {
        Listener(8000): np.zeros(8000 * 5, np.int16),
        Listener(16000): rng.normal(0, 3000, 16000 * 5).astype(np.int16),
        Listener(8000): (rng.normal(0, 60, 8000 * 5)).astype(np.int16),
    }
    await play(engine, listeners)
    await engine.stop()
    assert [listener.changes for listener in listeners] == [[], [], []]


@virtual_time
async def test_a_call_is_heard_the_same_alone_and_among_others(sentence: Pcm) -> None:
    speech = with_silence(at(sentence, 8000), 8000)
    alone = Listener(8000)
    engine = VadEngine()
    await engine.start()
    await play(engine, {alone: speech})
    silent = Listener(8000)
    others = {Listener(8000): np.roll(speech, 4000 * i) for i in range(1, 6)}
    among = Listener(8000)
    await play(engine, {among: speech, silent: np.zeros(len(speech), np.int16), **others})
    await engine.stop()
    assert among.changes == alone.changes
    assert silent.changes == []
    assert all(other.changes for other in others)


def test_a_batch_gives_what_each_would_give_alone(sentence: Pcm) -> None:
    async def check() -> None:
        engine = VadEngine()
        rows = [np.roll(at(sentence, 8000), 700 * i) for i in range(5)]
        alone = [Listener(8000).activity for _ in rows]
        batch = [Listener(8000).activity for _ in rows]
        for start in range(0, 256 * 20, 256):
            for row, single, member in zip(rows, alone, batch, strict=True):
                window = row[start : start + 256].tobytes()
                single.pending += window
                member.pending += window
                engine.run_batch([single], 8000)
            engine.run_batch(batch, 8000)
        for single, member in zip(alone, batch, strict=True):
            np.testing.assert_allclose(single.state, member.state, rtol=1e-3, atol=1e-4)
            assert single.speaking == member.speaking

    asyncio.run(check())


@virtual_time
async def test_speech_whose_audio_stops_coming_ends_after_a_second(sentence: Pcm) -> None:
    engine = VadEngine()
    await engine.start()
    listener = Listener(8000)
    speech = with_silence(at(sentence, 8000), 8000)[: 8000 * 14 // 10]
    await play(engine, {listener: speech})
    assert listener.changes[-1][0] is True
    await asyncio.sleep(IDLE_SECONDS - 0.2)
    assert listener.changes[-1][0] is True
    await asyncio.sleep(0.5)
    assert listener.changes[-1][0] is False
    assert listener.lengths[-1] >= 1000
    await engine.stop()


@virtual_time
async def test_one_calls_trouble_is_no_others(sentence: Pcm) -> None:
    engine = VadEngine()
    await engine.start()
    speech = with_silence(at(sentence, 8000), 8000)
    broken, well = Listener(8000, raises=True), Listener(8000)
    await play(engine, {broken: speech, well: speech})
    await engine.stop()
    assert len(broken.changes) == len(well.changes) >= 2


@virtual_time
async def test_a_forgotten_call_is_told_nothing(sentence: Pcm) -> None:
    engine = VadEngine()
    await engine.start()
    speech = with_silence(at(sentence, 8000), 8000)
    second = Listener(8000)

    class Forgetful(Listener):
        async def changed(self, speaking: bool, for_ms: float) -> None:
            """Both change in one batch; the first makes the engine forget both."""
            await super().changed(speaking, for_ms)
            engine.forget(second.activity)
            engine.forget(self.activity)

    first = Forgetful(8000)
    await play(engine, {first: speech, second: speech})
    await engine.stop()
    assert len(first.changes) + len(second.changes) in (1, 2)
    assert len(first.changes) <= 1
    assert engine._ready == set() and engine._speaking == set()


@virtual_time
async def test_a_burst_is_bounded() -> None:
    engine = VadEngine()
    listener = Listener(8000)
    assert engine.feed(listener.activity, bytes(4 * 16_000))
    assert not engine.feed(listener.activity, bytes(16_000 * 60))
    assert len(listener.activity.pending) == 4 * 16_000


@virtual_time
async def test_start_and_stop_twice() -> None:
    engine = VadEngine()
    await engine.stop()
    await engine.start()
    await engine.start()
    await engine.stop()
    await engine.stop()


def test_only_the_models_rates() -> None:
    with pytest.raises(ValueError, match="24000"):
        Listener(24000)
