"""Codecs of the simulated caller."""

import numpy as np
import pytest

from simulators.caller.codec import MULAW_8K, WireFormat, l16
from simulators.speech import tone


def pcm(*samples: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.array(samples, dtype=np.int16)


@pytest.mark.parametrize(
    ("sample", "code", "back"),
    [
        (0, 0xFF, 0),
        (100, 0xF2, 104),
        (-100, 0x72, -104),
        (1000, 0xCE, 988),
        (-1000, 0x4E, -988),
        (8031, 0xA0, 7932),
        (32124, 0x80, 32124),
        (32767, 0x80, 32124),
        (-32768, 0x00, -32124),
    ],
)
def test_mulaw_follows_g711(sample: int, code: int, back: int) -> None:
    assert MULAW_8K.encode(pcm(sample)) == bytes([code])
    assert MULAW_8K.decode(bytes([code])).tolist() == [back]


def test_mulaw_codes_survive_a_round_trip_but_for_the_second_zero() -> None:
    codes = bytes(range(256))
    again = MULAW_8K.encode(MULAW_8K.decode(codes))
    assert [code for code in codes if again[code] != code] == [0x7F]


def test_l16_has_both_byte_orders() -> None:
    assert l16(8000, "big").encode(pcm(0x0102, -2)) == b"\x01\x02\xff\xfe"
    assert l16(8000, "little").encode(pcm(0x0102, -2)) == b"\x02\x01\xfe\xff"
    for order in ("big", "little"):
        wire_format = l16(16000, order)
        samples = tone(440, 100, rate_hz=16000)
        assert wire_format.decode(wire_format.encode(samples)).tolist() == samples.tolist()


@pytest.mark.parametrize(
    ("wire_format", "packet_bytes"),
    [
        (MULAW_8K, 160),
        (l16(8000, "big"), 320),
        (l16(16000, "big"), 640),
        (l16(24000, "little"), 960),
    ],
)
def test_packets_are_20_ms_and_the_last_is_padded(
    wire_format: WireFormat, packet_bytes: int
) -> None:
    samples = tone(300, 50, rate_hz=wire_format.rate_hz)
    packets = wire_format.packets(samples)
    assert [len(packet) for packet in packets] == [packet_bytes] * 3
    assert len(wire_format.silence()) == packet_bytes
    half = packet_bytes // 2
    assert packets[2][half:] == wire_format.silence()[half:]
    assert b"".join(packets).startswith(wire_format.encode(samples))


@pytest.mark.parametrize("wire_format", [MULAW_8K, l16(8000, "big"), l16(8000, "little")])
def test_only_what_can_be_heard_is_audible(wire_format: WireFormat) -> None:
    hiss = pcm(*([0, 200, -200, 90] * 40))
    click = hiss.copy()
    click[77] = 300
    assert not wire_format.audible(wire_format.silence())
    assert not wire_format.audible(wire_format.encode(hiss))
    assert wire_format.audible(wire_format.encode(click))
    click[77] = -300
    assert wire_format.audible(wire_format.encode(click))
