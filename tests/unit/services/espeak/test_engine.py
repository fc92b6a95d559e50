"""Speech at the wire's rate: every language, whole frames, clean spectrum, stoppable, fair."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import ProviderError
from services.espeak import VOICES, library
from services.espeak.engine import Manner, speak
from tests.unit.services.espeak.speech import SENTENCES, Samples, chunks_of, pitch_hz, samples_of

RATES_HZ = (8_000, 16_000, 24_000)
OnChunk = Callable[[bytes], bool]
LONG_TEXT = "This sentence is long enough to be cut, and it is said again and again. " * 200


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("language", VOICES)
async def test_every_language_speaks(language: str, rate_hz: int) -> None:
    samples = await samples_of(SENTENCES[language], VOICES[language], rate_hz)
    seconds = len(samples) / rate_hz
    assert 1.5 < seconds < 6
    loud = np.abs(samples.astype(np.int32)) > 1000
    assert loud.mean() > 0.2, "mostly silence"
    assert (np.abs(samples.astype(np.int32)) >= 32_767).mean() < 0.001, "clipped"


def share_above(samples: Samples, rate_hz: int, limit_hz: int) -> float:
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    return float(power[limit_hz * len(samples) // rate_hz :].sum() / power.sum())


@pytest.mark.parametrize("language", ["en-IN", "hi", "ta"])
async def test_nothing_folds_back_at_8_khz(language: str) -> None:
    narrow = await samples_of(SENTENCES[language], VOICES[language], 8_000)
    assert share_above(narrow, 8_000, 3_950) < 1e-4
    assert share_above(narrow, 8_000, 3_600) < 0.05


def loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


@pytest.mark.parametrize(("tone_hz", "low", "high"), [(1_000, 0.98, 1.02), (5_000, 0, 0.001)])
async def test_the_resampler_passes_speech_and_stops_what_would_fold_back(
    monkeypatch: pytest.MonkeyPatch, tone_hz: int, low: float, high: float
) -> None:
    seconds = np.arange(library.NATIVE_RATE_HZ * 2) / library.NATIVE_RATE_HZ
    tone = (10_000 * np.sin(2 * np.pi * tone_hz * seconds)).astype(np.int16)

    def hum(_text: str, _voice: str, _rate: int, _pitch: int, on_chunk: OnChunk, **_: int) -> bool:
        return all(on_chunk(tone[at : at + 5_000].tobytes()) for at in range(0, len(tone), 5_000))

    monkeypatch.setattr(library, "synthesize", hum)
    made = await samples_of("hum", "en-us", 8_000)
    # The first and last 50 ms hold the filter's answer to the tone's sudden edges.
    assert low <= loudness(made[400:-400]) / loudness(tone) <= high


@pytest.mark.parametrize("rate_hz", (*RATES_HZ, library.NATIVE_RATE_HZ))
async def test_chunks_are_whole_frames_save_the_last(rate_hz: int) -> None:
    chunks = await chunks_of(LONG_TEXT[:600], "en-us", rate_hz)
    frame_bytes = rate_hz // 50 * 2
    assert len(chunks) > 10
    assert all(len(chunk) % frame_bytes == 0 for chunk in chunks[:-1])
    assert len(chunks[-1]) % 2 == 0


async def test_speech_is_as_long_at_every_rate() -> None:
    seconds = [
        len(await samples_of(SENTENCES["hi"], "hi", rate_hz)) / rate_hz for rate_hz in RATES_HZ
    ]
    assert max(seconds) - min(seconds) < 0.05 * max(seconds)


async def test_leading_silence_is_trimmed() -> None:
    samples = await samples_of("Please wait", "en-us", 8_000)
    first_sound = int(np.argmax(np.abs(samples) > 100)) / 8
    assert first_sound < 15


async def test_rate_pitch_and_volume_are_heard() -> None:
    text = SENTENCES["hi"]
    plain = await samples_of(text, "hi", 8_000)
    slow = await samples_of(text, "hi", 8_000, rate_wpm=90)
    high = await samples_of(text, "hi", 8_000, pitch=95)
    soft = await samples_of(text, "hi", 8_000, volume=30)
    assert len(slow) > 1.4 * len(plain)
    assert pitch_hz(high, 8_000) > 1.3 * pitch_hz(plain, 8_000)
    assert np.abs(soft).max() < 0.5 * np.abs(plain).max()


async def test_a_variant_is_another_voice() -> None:
    text = SENTENCES["en-IN"]
    man = await samples_of(text, "en-us", 8_000)
    woman = await samples_of(text, "en-us+f3", 8_000)
    assert pitch_hz(woman, 8_000) > 1.2 * pitch_hz(man, 8_000)


async def test_a_text_cut_into_pieces_keeps_its_pauses() -> None:
    sentence = "We open at nine o'clock in the morning of every working day of the week. "
    one = len(await samples_of(sentence, "en-us", 8_000))
    ten = len(await samples_of(sentence * 10, "en-us", 8_000))
    pause_seconds = (ten - 10 * one) / 9 / 8_000
    assert 0.3 < pause_seconds < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "🙂🙃🎉",
        "<speak><break time='5s'/></speak>",
        "a < b > c & d",
        "\x00\x01\x02\x1b[31m\x7f\x85",
        "\x0150P\x01200S loud",
        "[[h@l'oU]]",
        "॥।॥।....,,,;;;!!!???",
        "<-മ [-q '-ൢ൞ ;-മ ऽ-ॠ",
        "ா ் ൢ ा ि",
        "x" * 5000,
        "क्ष" * 2000,
        "9" * 5000,
        "hello " * 833,
        "\ud800\udfff",
        "नमस्ते hello வணக்கம் سلام 你好",
    ],
)
async def test_garbage_is_survived_by_every_kind_of_voice(text: str) -> None:
    voices = ("hi",) if len(text) >= 5000 else ("en-us", "hi", "ml", "mr", "ur")
    for voice in voices:
        async for chunk in speak(text, Manner(voice=voice, rate_wpm=450), 8_000):
            assert chunk
    assert await chunks_of("still here", "en-us", 8_000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(max_size=80), voice=st.sampled_from(sorted(VOICES.values())))
async def test_any_text_in_any_voice_is_survived(text: str, voice: str) -> None:
    await chunks_of(text, voice, 8_000)


async def test_two_speakers_do_not_mix() -> None:
    alone = [await samples_of(SENTENCES[name], VOICES[name], 8_000) for name in ("hi", "en-IN")]
    together = await asyncio.gather(
        *(samples_of(SENTENCES[name], VOICES[name], 8_000) for name in ("hi", "en-IN") * 12)
    )
    for number, samples in enumerate(together):
        expected = alone[number % 2]
        assert len(samples) == pytest.approx(len(expected), rel=0.02)
        assert likeness(samples, expected) > 0.9


def likeness(one: Samples, other: Samples) -> float:
    """Correlation of the two loudness curves, 20 ms a step."""
    steps = min(len(one), len(other)) // 160
    curves = [
        np.abs(samples[: steps * 160].astype(np.float64)).reshape(steps, 160).mean(axis=1)
        for samples in (one, other)
    ]
    return float(np.corrcoef(curves)[0, 1])


async def test_a_short_text_does_not_wait_for_all_of_a_long_one() -> None:
    order: list[str] = []

    async def say(name: str, text: str) -> None:
        async for _ in speak(text, Manner(voice="en-us"), 8_000):
            pass
        order.append(name)

    long_one = asyncio.create_task(say("long", LONG_TEXT))
    await asyncio.sleep(0)
    await say("short", "Hello.")
    await long_one
    assert order == ["short", "long"]


class Gate:
    """Holds the library up in its callbacks and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.calls = 0
        self.finished = threading.Event()
        self.to_the_end = True
        real: Callable[..., bool] = library.synthesize

        def held(text: str, *args: object, **kwargs: object) -> bool:
            *rest, on_chunk = args
            assert callable(on_chunk)

            def gated(chunk: bytes) -> bool:
                self.calls += 1
                go_on = bool(on_chunk(chunk))
                self.go_on.wait(30)
                return go_on

            self.to_the_end = real(text, *rest, gated, **kwargs)
            self.finished.set()
            return self.to_the_end

        monkeypatch.setattr(library, "synthesize", held)


async def test_closing_the_iterator_stops_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    speech = speak(LONG_TEXT[:190], Manner(voice="en-us"), 8_000)
    assert await anext(speech)
    await speech.aclose()
    gate.go_on.set()
    assert await asyncio.to_thread(gate.finished.wait, 30)
    assert not gate.to_the_end
    assert gate.calls <= 3, "one was under way, and one more may tell it to stop"


async def test_a_cancelled_task_stops_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    begun = asyncio.Event()

    async def listen() -> None:
        async for _ in speak(LONG_TEXT[:190], Manner(voice="en-us"), 8_000):
            begun.set()

    listener = asyncio.create_task(listen())
    await begun.wait()
    listener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listener
    gate.go_on.set()
    assert await asyncio.to_thread(gate.finished.wait, 30)
    assert not gate.to_the_end


async def test_a_text_given_up_while_it_waits_is_never_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate(monkeypatch)
    first = speak("Hello there.", Manner(voice="en-us"), 8_000)
    await anext(first)
    second = asyncio.create_task(chunks_of("Not me.", "en-us", 8_000))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    made = gate.calls
    gate.go_on.set()
    while [chunk async for chunk in first]:
        pass
    begun = gate.finished.is_set() and gate.calls
    monkeypatch.undo()
    await chunks_of("Next.", "en-us", 8_000)
    assert gate.calls == begun
    assert gate.calls >= made


async def test_an_unknown_voice_is_a_provider_error() -> None:
    with pytest.raises(ProviderError) as caught:
        await chunks_of("hello", "nowhere", 8_000)
    assert caught.value.code == "voice_unknown"


async def test_a_bug_in_the_worker_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_kwargs: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(library, "synthesize", broken)
    with pytest.raises(ProviderError) as caught:
        await chunks_of("hello", "en-us", 8_000)
    assert (caught.value.code, caught.value.retryable) == ("internal", True)


async def test_one_thread_serves_everyone() -> None:
    await asyncio.gather(*(chunks_of("Hello.", "en-us", 8_000) for _ in range(24)))
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("espeak")]
    assert len(workers) == 1
