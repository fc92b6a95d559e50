"""Recordings in other formats: the same sound, or the WAV file where that cannot be."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serializer.codecs import PCM_8K
from sessions import sound_format
from sessions.build import build_call, built_path
from sessions.journal_format import RecordingFormat
from tests.unit.sessions.journals import a_call, header, packets


def tone(hz: float, count: int) -> bytes:
    wave = 8000 * np.sin(2 * np.pi * hz * np.arange(count) / 8000)
    return wave.astype("<i2").tobytes()


async def a_tone(root: Path, form: RecordingFormat, *, stereo: bool = True) -> Path:
    head = header(PCM_8K, PCM_8K, recording_format=form, stereo=stereo)
    async with a_call(root, head) as call:
        for i, data in enumerate(packets(tone(400, 40_000))):
            call.caller_audio(20.0 * i, data)
    return call.folder


@pytest.mark.parametrize(
    ("form", "suffix", "content_type"),
    [
        ("wav", ".wav", "audio/wav"),
        ("flac", ".flac", "audio/flac"),
        ("opus", ".ogg", "audio/ogg; codecs=opus"),
    ],
)
async def test_the_sound_is_there_in_each_format(
    tmp_path: Path, form: RecordingFormat, suffix: str, content_type: str
) -> None:
    folder = await a_tone(tmp_path, form)
    built = build_call(folder)
    assert built.recording is not None
    assert built.recording.key.endswith(suffix)
    assert built.recording.content_type == content_type
    data = built_path(folder, built.recording).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (
        built.recording.size_bytes,
        built.recording.sha256,
    )
    samples, rate_hz = soundfile.read(built_path(folder, built.recording), dtype="int16")
    assert (rate_hz, samples.shape) == (8000, (40_000, 2))
    expected = np.frombuffer(tone(400, 40_000), "<i2").astype(float)
    heard = samples[:, 0].astype(float)
    if form != "opus":
        assert np.array_equal(heard, expected)
    # Opus keeps the time: what is left without it is small beside the tone itself.
    assert np.corrcoef(heard, expected)[0, 1] > 0.95
    assert np.abs(samples[:, 1]).max() < 400
    assert build_call(folder) == built


async def test_compressed_is_smaller(tmp_path: Path) -> None:
    sizes = {}
    for form in ("wav", "flac", "opus"):
        built = build_call(await a_tone(tmp_path, form, stereo=False))
        assert built.recording is not None
        sizes[form] = built.recording.size_bytes
    assert sizes["opus"] < sizes["wav"] / 3
    assert sizes["flac"] < sizes["wav"]


async def test_what_cannot_be_compressed_stays_wav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sound_format._CODINGS, "opus", ("OGG", "PCM_16"))
    folder = await a_tone(tmp_path, "opus")
    built = build_call(folder)
    assert built.recording is not None
    assert (built.recording.content_type, built.record.recording.state) == ("audio/wav", "stored")
    assert built.recording.key.endswith(".wav")
    assert not list(folder.rglob("*.part"))
    assert soundfile.info(built_path(folder, built.recording)).format == "WAV"
