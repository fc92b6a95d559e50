"""The play-out buffer, sample by sample."""

import numpy as np
import pytest

from simulators.caller.codec import MULAW_8K, l16
from simulators.caller.playback import Cleared, Playback, PlayedOut
from simulators.speech import Pcm, tone

L16 = l16(8000, "little")


def ramp(length: int, start: int = 1000) -> Pcm:
    return np.arange(start, start + length, dtype=np.int16)


def test_audio_plays_from_its_arrival_and_queues_behind_what_plays() -> None:
    playback = Playback()
    playback.play(100.0, L16.encode(ramp(160)), L16)
    playback.play(105.0, L16.encode(ramp(160, 2000)), L16)
    heard = playback.heard(200.0)
    assert heard.size == 1600
    assert not heard[:800].any()
    assert heard[800:960].tolist() == ramp(160).tolist()
    assert heard[960:1120].tolist() == ramp(160, 2000).tolist()
    assert not heard[1120:].any()
    assert playback.end_ms == 140.0


def test_an_arrival_between_two_samples_is_heard_from_the_next() -> None:
    playback = Playback()
    playback.play(100.01, L16.encode(ramp(160)), L16)
    assert playback.heard(200.0)[801] == 1000


def test_a_dry_buffer_is_silence_of_exactly_that_length() -> None:
    playback = Playback()
    playback.play(0.0, L16.encode(ramp(160)), L16)
    playback.play(33.0, L16.encode(ramp(160, 2000)), L16)
    heard = playback.heard(60.0)
    assert not heard[160:264].any()
    assert heard[264] == 2000


def test_a_flush_cuts_in_the_middle_of_a_packet_and_drops_the_rest() -> None:
    playback = Playback()
    for start in (1000, 2000, 3000):
        playback.play(0.0, L16.encode(ramp(160, start)), L16)
    playback.clear(25.0, 40.0)
    heard = playback.heard(100.0)
    assert heard[199] == 2039
    assert not heard[200:].any()
    assert playback.end_ms == 25.0


def test_audio_during_a_flush_is_lost_and_counted() -> None:
    playback = Playback()
    playback.clear(10.0, 40.0)
    assert playback.play(30.0, L16.encode(ramp(320)), L16) is None
    assert playback.lost_to_flush_ms == 40.0
    assert playback.play(50.0, L16.encode(ramp(160)), L16) is not None
    assert playback.heard(100.0)[400] == 1000


def test_a_checkpoint_is_due_when_what_was_before_it_has_been_heard() -> None:
    playback = Playback()
    playback.play(0.0, MULAW_8K.silence() * 5, MULAW_8K)
    playback.checkpoint(0.0, "middle")
    playback.play(0.0, MULAW_8K.silence() * 5, MULAW_8K)
    playback.checkpoint(0.0, "end")
    assert playback.due(99.9) == []
    assert playback.due(100.0) == [PlayedOut("middle")]
    assert playback.due(300.0) == [PlayedOut("end")]
    playback.checkpoint(400.0, "idle")
    assert playback.due(400.0) == [PlayedOut("idle")]


def test_a_flush_voids_checkpoints_and_is_acknowledged_after_its_latency() -> None:
    playback = Playback()
    playback.play(0.0, MULAW_8K.silence() * 5, MULAW_8K)
    playback.checkpoint(0.0, "void")
    playback.clear(20.0, 40.0)
    assert playback.due(59.0) == []
    assert playback.due(60.0) == [Cleared()]
    assert playback.due(1000.0) == []
    assert playback.voided == ["void"]


def test_an_unacknowledged_flush_is_over_after_a_second() -> None:
    playback = Playback()
    playback.clear(0.0, None)
    assert playback.flushing(949.0)
    assert not playback.flushing(950.0)
    assert playback.due(5000.0) == []


@pytest.mark.parametrize("rate_hz", [16000, 24000])
def test_rates_may_change_within_a_call(rate_hz: int) -> None:
    wide = l16(rate_hz, "big")
    playback = Playback()
    playback.play(0.0, L16.encode(tone(400, 40, rate_hz=8000)), L16)
    playback.play(0.0, wide.encode(tone(400, 40, rate_hz=rate_hz)), wide)
    heard = playback.heard(100.0)
    assert playback.end_ms == 80.0
    assert heard[:320].tolist() == tone(400, 40, rate_hz=8000).tolist()
    middle = heard[400:560].astype(int) - tone(400, 80, rate_hz=8000)[400:560]
    assert np.abs(middle).max() < 400
    assert not heard[640:].any()


def test_only_audible_packets_count_as_speech() -> None:
    playback = Playback()
    playback.play(0.0, MULAW_8K.silence(), MULAW_8K)
    playback.play(20.0, MULAW_8K.encode(tone(400, 20, rate_hz=8000)), MULAW_8K)
    playback.play(40.0, MULAW_8K.silence(), MULAW_8K)
    assert playback.first_audible_after(-1.0) == 20.0
    assert playback.first_audible_after(20.0) is None
    assert playback.last_audible_end_ms == 40.0
