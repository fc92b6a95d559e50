"""Codec vectors of ITU-T G.711 as the carrier's facts give them, and round trips."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serializer.codecs import (
    MULAW_8K,
    PCM_16K,
    AudioFormat,
    mulaw_to_pcm,
    pcm_to_mulaw,
    swap_bytes,
)

VECTORS = [
    (0, 0xFF, 0),
    (100, 0xF2, 104),
    (-100, 0x72, -104),
    (1000, 0xCE, 988),
    (-1000, 0x4E, -988),
    (8031, 0xA0, 7932),
    (32124, 0x80, 32124),
    (32767, 0x80, 32124),
    (-32768, 0x00, -32124),
]
PCM_16K_BE = AudioFormat("pcm", 16000, "be")


@pytest.mark.parametrize(("sample", "code", "expanded"), VECTORS)
def test_mulaw_vectors(sample: int, code: int, expanded: int) -> None:
    assert pcm_to_mulaw(struct.pack("<h", sample)) == bytes([code])
    assert mulaw_to_pcm(bytes([code])) == struct.pack("<h", expanded)


def test_every_mulaw_code_survives_a_round_trip() -> None:
    codes = bytes(range(256))
    again = pcm_to_mulaw(mulaw_to_pcm(codes))
    # 0x7F is negative zero: linear zero is written as 0xFF.
    assert again == codes.replace(b"\x7f", b"\xff")


def test_every_sample_comes_back_within_half_a_step_of_its_segment() -> None:
    samples = np.arange(-32124, 32125, dtype="<i2")
    codes = pcm_to_mulaw(samples.tobytes())
    back = np.frombuffer(mulaw_to_pcm(codes), dtype="<i2").astype(int)
    segment = (~np.frombuffer(codes, dtype=np.uint8) >> 4) & 7
    step = 8 << segment.astype(int)
    assert np.all(np.abs(back - samples.astype(int)) <= step // 2)


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_swapping_twice_changes_only_an_odd_tail(data: bytes) -> None:
    assert swap_bytes(swap_bytes(data)) == data[: len(data) & ~1]


def test_big_endian_samples_are_swapped_both_ways() -> None:
    assert PCM_16K_BE.decode(struct.pack(">3h", 1, -2, 300)) == struct.pack("<3h", 1, -2, 300)
    assert PCM_16K_BE.encode(struct.pack("<3h", 1, -2, 300)) == struct.pack(">3h", 1, -2, 300)


@pytest.mark.parametrize("wire", [MULAW_8K, PCM_16K, PCM_16K_BE])
def test_an_odd_last_byte_of_pcm_is_dropped(wire: AudioFormat) -> None:
    pcm = struct.pack("<2h", 0, 32124)
    assert wire.encode(pcm + b"\x01") == wire.encode(pcm)
    assert wire.encode(b"\x01") == b""


@pytest.mark.parametrize("wire", [PCM_16K, PCM_16K_BE])
def test_an_odd_last_byte_from_the_wire_is_dropped(wire: AudioFormat) -> None:
    assert wire.decode(b"\x01\x02\x03") == wire.decode(b"\x01\x02")
    assert wire.decode(b"\x01") == b""


@pytest.mark.parametrize(
    ("wire", "packet_bytes"),
    [
        (MULAW_8K, 160),
        (AudioFormat("pcm", 8000), 320),
        (PCM_16K, 640),
        (AudioFormat("pcm", 24000, "be"), 960),
    ],
)
def test_twenty_milliseconds_have_the_documented_size(wire: AudioFormat, packet_bytes: int) -> None:
    assert wire.bytes_per_ms * 20 == packet_bytes
    assert len(wire.silence(20)) == packet_bytes
    assert wire.duration_ms(packet_bytes) == 20


@pytest.mark.parametrize("wire", [MULAW_8K, PCM_16K, PCM_16K_BE])
def test_silence_is_silent(wire: AudioFormat) -> None:
    assert not any(wire.decode(wire.silence(20)))


def test_a_format_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 1000"):
        AudioFormat("pcm", 11025)
    with pytest.raises(ValueError, match="multiple of 1000"):
        AudioFormat("pcm", 0)
    with pytest.raises(ValueError, match="byte order"):
        AudioFormat("mulaw", 8000, "be")
