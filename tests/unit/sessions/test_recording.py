"""Every sample of a call lies in the recording, once, at the moment it belongs to."""

import hashlib
import random
import tracemalloc
from array import array
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serializer.codecs import MULAW_8K, PCM_8K, PCM_16K, PCM_24K, AudioFormat
from sessions.journal_format import AGENT, CALLER, CUT, FRAME, MEDIA_NAME, JournalHeader
from sessions.recording import Recording, make_recording
from sessions.timeline import lay_out, smooth
from tests.unit.sessions.journals import a_call, header, numbered, packets, read_wav

Frame = tuple[int, float, bytes]


def write_media(folder: Path, frames: list[Frame]) -> None:
    with (folder / MEDIA_NAME).open("wb") as file:
        for kind, at_ms, data in frames:
            file.write(FRAME.pack(kind, len(data), at_ms) + data)


def record(folder: Path, frames: list[Frame], head: JournalHeader | None = None) -> Recording:
    write_media(folder, frames)
    made = make_recording(folder, head or header(), folder / "out.wav")
    assert made is not None
    return made


def leg(folder: Path, channel: int) -> npt.NDArray[np.int16]:
    _, samples = read_wav(folder / "out.wav")
    return samples[:, channel]


def steady(kind: int, pcm: bytes, start_ms: float = 0.0) -> list[Frame]:
    return [(kind, start_ms + 20.0 * i, data) for i, data in enumerate(packets(pcm))]


def pcm(samples: npt.NDArray[np.int16]) -> bytes:
    return samples.astype("<i2").tobytes()


async def test_caller_left_agent_right(tmp_path: Path) -> None:
    caller, agent = numbered(8000), numbered(4000, first=9000)
    head = header()
    async with a_call(tmp_path, head) as call:
        for i, data in enumerate(packets(caller)):
            call.caller_audio(20.0 * i, data)
            if i < 25:
                call.agent_audio(300 + 20.0 * i, packets(agent)[i])
    made = make_recording(call.folder, head, tmp_path / "out.wav")
    assert made is not None
    rate, samples = read_wav(made.path)
    assert (rate, samples.shape) == (8000, (8000, 2))
    assert pcm(samples[:, 0]) == caller
    assert pcm(samples[2400:6400, 1]) == agent
    assert not samples[:2400, 1].any() and not samples[6400:, 1].any()
    assert made.size_bytes == made.path.stat().st_size
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert (made.duration_ms, made.caller_ms, made.agent_ms) == (1000.0, 1000.0, 500.0)


@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_smoothed_away(tmp_path: Path, seed: int) -> None:
    """Delays up to 400 ms and the bursts after them move nothing, if the last come in time."""
    draw = random.Random(seed)
    caller = numbered(80_000)
    frames, latest = [], 0.0
    for i, data in enumerate(packets(caller)):
        delay = draw.choices([0, 3, 15, 60, 400], [50, 20, 20, 9, 1])[0] if i < 475 else 0
        latest = max(latest, 100 + 20.0 * i + delay)
        frames.append((CALLER, latest, data))
    record(tmp_path, frames)
    assert pcm(leg(tmp_path, 0)[800:]) == caller
    assert not leg(tmp_path, 0)[:800].any()


def test_a_stalled_network_that_catches_up(tmp_path: Path) -> None:
    caller = numbered(16_000)
    frames = [
        (CALLER, 1500.0 if 500 < 20 * i < 1500 else 20.0 * i, data)
        for i, data in enumerate(packets(caller))
    ]
    record(tmp_path, frames)
    assert pcm(leg(tmp_path, 0)) == caller


@pytest.mark.parametrize("pause_ms", [20, 40, 500, 7000, 60_000])
def test_a_pause_is_silence_of_its_length(tmp_path: Path, pause_ms: int) -> None:
    first, second = numbered(4000), numbered(4000, first=5000)
    record(tmp_path, steady(CALLER, first) + steady(CALLER, second, 500.0 + pause_ms))
    found = leg(tmp_path, 0)
    assert pcm(found[:4000]) == first
    assert pcm(found[4000 + 8 * pause_ms :]) == second
    assert not found[4000 : 4000 + 8 * pause_ms].any()


@pytest.mark.parametrize("pause_ms", [0.01, 5, 19.8])
def test_what_is_shorter_than_a_packet_is_closed_up(tmp_path: Path, pause_ms: float) -> None:
    first, second = numbered(4000), numbered(4000, first=5000)
    frames = steady(AGENT, first) + steady(AGENT, second, 500.0 + pause_ms)
    record(tmp_path, frames)
    assert pcm(leg(tmp_path, 1)) == first + second


def test_many_small_gaps_do_not_add_up(tmp_path: Path) -> None:
    """The caller's clock is slow by 0.5 %, the agent's due times are exact."""
    frames: list[Frame] = []
    for i, data in enumerate(packets(numbered(480_000))):
        frames += [(CALLER, i * 20.1, data), (AGENT, i * 20.0, data)]
    write_media(tmp_path, frames)
    spoken, heard = lay_out(tmp_path, PCM_8K, PCM_8K)
    for i, start in enumerate(spoken.starts):
        assert abs(start / 8 - i * 20.1) <= 20
    assert list(heard.starts) == [160 * i for i in range(3000)]


def test_a_fast_clock_loses_nothing(tmp_path: Path) -> None:
    caller = numbered(80_000)
    frames = [(CALLER, 5.0 * i, data) for i, data in enumerate(packets(caller))]
    record(tmp_path, frames)
    assert pcm(leg(tmp_path, 0)) == caller


def test_an_hour_ends_within_20_ms(tmp_path: Path) -> None:
    """Jittered packets for an hour; a click every minute in both legs tells the alignment."""
    draw = random.Random(7)
    quiet = b"\xff" * 160
    click = b"\x80" * 8 + b"\xff" * 152
    with (tmp_path / MEDIA_NAME).open("wb") as file:
        latest = 0.0
        for i in range(180_000):
            data = click if i % 3000 == 0 else quiet
            latest = max(latest, i * 20.0 + draw.uniform(0, 30))
            file.write(FRAME.pack(AGENT, 160, i * 20.0) + data)
            file.write(FRAME.pack(CALLER, 160, latest) + data)
    made = make_recording(tmp_path, header(MULAW_8K, MULAW_8K), tmp_path / "out.wav")
    assert made is not None and made.size_bytes >= 3600 * 8000 * 4
    clicks = []
    samples = np.memmap(tmp_path / "out.wav", dtype="<i2", mode="r", offset=44).reshape(-1, 2)
    for channel in (0, 1):
        loud = np.flatnonzero(np.abs(samples[:, channel].astype(np.int32)) > 1000)
        clicks.append(loud.reshape(-1, 8)[:, 0])
    assert len(clicks[0]) == len(clicks[1]) == 60
    assert np.abs(clicks[1] - np.arange(60) * 480_000).max() == 0
    assert np.abs(clicks[0] - clicks[1]).max() <= 160


def test_memory_does_not_grow_with_the_audio(tmp_path: Path) -> None:
    """Five minutes at 24 kHz are 29 MB as a file; only the packets' places are kept."""
    data = bytes(960)
    frames = [(kind, i * 20.0, data) for i in range(15_000) for kind in (CALLER, AGENT)]
    write_media(tmp_path, frames)
    tracemalloc.start()
    made = make_recording(tmp_path, header(PCM_24K, PCM_24K), tmp_path / "out.wav")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made is not None and made.size_bytes > 28e6
    assert peak_bytes < 5e6


def test_what_was_cut_was_never_heard(tmp_path: Path) -> None:
    spoken, after = numbered(8000), numbered(1600, first=20_000)
    frames = steady(AGENT, spoken, 100.0)
    frames += [(CUT, 433.0, b""), *steady(AGENT, after, 900.0), (CALLER, 2000.0, bytes(320))]
    record(tmp_path, frames)
    found = leg(tmp_path, 1)
    heard = round(333 * 8)
    assert pcm(found[800 : 800 + heard]) == spoken[: 2 * heard]
    assert not found[800 + heard : 7200].any()
    assert pcm(found[7200:8800]) == after


@pytest.mark.parametrize("cut_ms", [-5.0, 0.0, 99.0, 100.0])
def test_a_cut_before_the_beginning_leaves_nothing(tmp_path: Path, cut_ms: float) -> None:
    frames = [*steady(AGENT, numbered(800), 100.0), (CUT, max(cut_ms, 0.0), b"")]
    write_media(tmp_path, frames)
    assert make_recording(tmp_path, header(), tmp_path / "out.wav") is None
    assert not (tmp_path / "out.wav").exists()


def test_a_cut_after_the_end_changes_nothing(tmp_path: Path) -> None:
    record(tmp_path, [*steady(AGENT, numbered(800)), (CUT, 5000.0, b"")])
    assert pcm(leg(tmp_path, 1)) == numbered(800)


def test_speech_that_overlaps_without_a_cut_is_laid_end_to_end(tmp_path: Path) -> None:
    first, second = numbered(8000), numbered(8000, first=15_000)
    record(tmp_path, steady(AGENT, first) + steady(AGENT, second, 400.0))
    assert pcm(leg(tmp_path, 1)) == first + second


@pytest.mark.parametrize(
    "form", [MULAW_8K, PCM_16K, AudioFormat("pcm", 8000, "be"), AudioFormat("pcm", 24000, "be")]
)
def test_every_wire_format(tmp_path: Path, form: AudioFormat) -> None:
    sent = form.decode(form.encode(numbered(form.rate_hz)))
    size = form.rate_hz // 50 * form.sample_bytes
    frames = [(CALLER, 20.0 * i, d) for i, d in enumerate(packets(form.encode(sent), size))]
    made = record(tmp_path, frames, header(form, form))
    assert made.rate_hz == form.rate_hz
    assert pcm(leg(tmp_path, 0)) == sent


@pytest.mark.parametrize("slow", [MULAW_8K, PCM_16K])
def test_legs_of_different_rates_stay_aligned(tmp_path: Path, slow: AudioFormat) -> None:
    """The same tone bursts in both legs: resampling adds no lag, over many blocks."""

    def bursts(rate_hz: int) -> bytes:
        t = np.arange(30 * rate_hz) / rate_hz
        gate = (t % 1.0) < 0.2
        tone = 8000 * np.sin(2 * np.pi * 440 * t) * gate
        return tone.astype("<i2").tobytes()

    frames: list[Frame] = []
    for kind, form in ((CALLER, slow), (AGENT, PCM_24K)):
        size = form.rate_hz // 50 * form.sample_bytes
        data = form.encode(bursts(form.rate_hz))
        frames += [(kind, 20.0 * i, part) for i, part in enumerate(packets(data, size))]
    made = record(tmp_path, frames, header(slow, PCM_24K))
    rate, samples = read_wav(made.path)
    assert (rate, len(samples)) == (24_000, 30 * 24_000)
    error = samples[:, 0].astype(np.int32) - samples[:, 1]
    # Inside the bursts the waves agree; a lag of one sample at 24 kHz would differ by 900.
    inside = (np.arange(len(samples)) / 24_000) % 1.0
    settled = (inside > 0.02) & (inside < 0.18)
    assert np.abs(error[settled]).max() < 400


def test_one_leg_alone_and_another_rate(tmp_path: Path) -> None:
    record(tmp_path, steady(CALLER, numbered(800)), header(PCM_8K, PCM_24K))
    _, samples = read_wav(tmp_path / "out.wav")
    assert samples.shape == (2400, 2)
    assert not samples[:, 1].any()


def test_one_channel_where_that_is_wanted(tmp_path: Path) -> None:
    loud = np.full(800, 30_000, np.int16)
    frames = steady(CALLER, pcm(loud)) + steady(AGENT, pcm(np.full(400, 20_000, np.int16)))
    made = record(tmp_path, frames, header(stereo=False))
    assert made.channels == 1
    mixed = leg(tmp_path, 0)
    assert (mixed[:400] == 32_767).all() and (mixed[400:] == 30_000).all()


def test_no_audio_makes_no_file(tmp_path: Path) -> None:
    assert make_recording(tmp_path, header(), tmp_path / "out.wav") is None
    write_media(tmp_path, [(CALLER, 0.0, b""), (AGENT, 5.0, b"\x01"), (CUT, 1.0, b"")])
    assert make_recording(tmp_path, header(), tmp_path / "out.wav") is None


@pytest.mark.parametrize("at_ms", [float("nan"), float("inf"), -1.0, 1e300])
def test_times_that_cannot_be(tmp_path: Path, at_ms: float) -> None:
    good = numbered(800)
    record(tmp_path, [*steady(CALLER, good), (CALLER, at_ms, bytes(320)), (AGENT, at_ms, good)])
    assert pcm(leg(tmp_path, 0)) == good


@pytest.mark.parametrize("torn_bytes", [1, 7, 100, 320, 325])
def test_a_torn_end_costs_only_itself(tmp_path: Path, torn_bytes: int) -> None:
    good = numbered(1600)
    write_media(tmp_path, steady(CALLER, good))
    media = (tmp_path / MEDIA_NAME).read_bytes()
    (tmp_path / MEDIA_NAME).write_bytes(media[:-torn_bytes])
    assert make_recording(tmp_path, header(), tmp_path / "out.wav") is not None
    found = pcm(leg(tmp_path, 0))
    assert good.startswith(found)
    assert len(found) >= len(good) - max(320, torn_bytes + 1)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=60),
    waits=st.lists(st.integers(0, 3000), min_size=60, max_size=60),
    kind=st.sampled_from([CALLER, AGENT]),
)
def test_no_sample_is_lost_or_repeated(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], waits: list[int], kind: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    frames: list[Frame] = []
    at_ms, first = 0.0, 1
    for size, wait in zip(sizes, waits, strict=False):
        at_ms += wait / 10
        frames.append((kind, at_ms, numbered(size, first)))
        first += size
    record(folder, frames)
    found = leg(folder, 0 if kind == CALLER else 1)
    assert pcm(found[found != 0]) == b"".join(data for _, _, data in frames)


def test_no_packet_is_laid_after_it_arrived() -> None:
    draw = random.Random(3)
    arrivals, latest = array("d"), 0.0
    for i in range(500):
        latest = max(latest, 20.0 * i + draw.expovariate(1 / 40))
        arrivals.append(latest)
    times = smooth(arrivals, [160] * 500, 8000)
    assert all(place <= came + 1e-6 for place, came in zip(times, arrivals, strict=True))
    # Among fifty that follow, one comes nearly in time, and tells for all.
    assert max(times[i] - 20.0 * i for i in range(450)) < 5
