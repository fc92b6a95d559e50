"""Old packets are dropped, and a strange counter never leaves a caller unheard."""

from collections.abc import Sequence

from serializer.ordering import PacketOrder


def _heard(numbers: Sequence[tuple[int | None, int | None]]) -> list[int]:
    order = PacketOrder()
    return [place for place, pair in enumerate(numbers) if not order.is_old(*pair)]


def test_duplicates_and_late_packets_are_old() -> None:
    assert _heard([(1, 1), (2, 2), (2, 2), (5, 5), (3, 3), (6, 6)]) == [0, 1, 3, 5]


def test_packets_without_numbers_are_always_new() -> None:
    assert _heard([(None, None)] * 200) == list(range(200))


def test_one_moving_number_is_enough() -> None:
    assert _heard([(0, chunk) for chunk in range(200)]) == list(range(200))
    assert _heard([(sequence, None) for sequence in range(200)]) == list(range(200))


def test_every_packet_sent_twice_is_heard_once() -> None:
    twice = [(n, n) for n in range(200) for _ in range(2)]
    assert _heard(twice) == list(range(0, 400, 2))


def test_a_counter_that_starts_anew_is_followed_after_a_second() -> None:
    before = [(n, n) for n in range(1000, 1100)]
    after = [(n, n) for n in range(200)]
    heard = [place - 100 for place in _heard(before + after) if place >= 100]
    assert heard == list(range(49, 200))


def test_a_counter_that_stands_still_is_no_longer_believed() -> None:
    assert _heard([(7, None)] * 200) == [0, *range(50, 200)]


def test_after_a_restart_duplicates_are_old_again() -> None:
    order = PacketOrder()
    order.is_old(1000)
    for number in range(50):
        order.is_old(number)
    assert not order.is_old(50)
    assert order.is_old(50)
