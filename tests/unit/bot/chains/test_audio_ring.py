"""The kept audio: where it is, how much of it, and what stands among it."""

from pipecat.frames.frames import VADUserStartedSpeakingFrame

from bot.chains.audio_ring import AudioRing

PIECE = 320


def piece(number: int) -> bytes:
    return number.to_bytes(2, "little") * PIECE


def filled(pieces: int, wanted_from: int | None = None) -> AudioRing:
    ring = AudioRing(8000)
    ring.want(wanted_from)
    for number in range(pieces):
        ring.add(piece(number))
    return ring


def test_positions_count_samples_from_the_call_s_beginning() -> None:
    ring = filled(3, 0)
    assert (ring.start, ring.end, ring.size_bytes) == (0, 960, 1920)
    assert ring.since(320) == [piece(1), piece(2)]
    assert ring.since(400) == [piece(1)[160:], piece(2)]
    assert ring.since(960) == []


def test_while_nothing_is_awaited_only_a_second_is_kept() -> None:
    ring = filled(1000)
    assert ring.end - ring.start == 8000
    assert ring.size_bytes == 16_000


def test_what_is_awaited_is_kept_for_ten_seconds_at_most() -> None:
    assert filled(200, 1600).start == 1600
    ring = filled(1000, 1600)
    assert ring.end - ring.start == 80_000
    assert ring.size_bytes == 160_000
    ring.want(None)
    ring.add(piece(1))
    assert ring.size_bytes == 16_000


def test_marks_stand_at_their_place_and_go_with_their_audio() -> None:
    ring = AudioRing(8000)
    ring.want(0)
    mark = VADUserStartedSpeakingFrame(start_secs=0.2)
    ring.add(piece(0))
    ring.mark(mark)
    ring.add(piece(1))
    assert ring.since(0) == [piece(0), mark, piece(1)]
    assert ring.since(320) == [mark, piece(1)]
    assert ring.since(321) == [piece(1)[2:]]
    ring.want(None)
    for number in range(100):
        ring.add(piece(number))
    assert mark not in ring.since(0)


def test_what_is_newer_than_a_count_holds_each_thing_once() -> None:
    ring = filled(2)
    count = ring.count
    assert ring.newer(count) == []
    ring.mark(mark := VADUserStartedSpeakingFrame())
    ring.add(piece(7))
    assert ring.newer(count) == [mark, piece(7)]
    assert ring.newer(ring.count) == []
