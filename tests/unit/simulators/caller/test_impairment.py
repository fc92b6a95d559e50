"""What a bad line does to packets."""

import pytest

from simulators.caller.impairment import Impairment, Jitter, Loss, Repeat, Swap

PACKETS = [b"%d" % number for number in range(10_000)]


def through(impairment: Impairment, packets: list[bytes]) -> list[bytes]:
    return [sent for packet in packets for sent in impairment(packet)]


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_loss_loses_its_share_in_bursts(burst: float) -> None:
    sent = through(Loss(0.1, burst=burst), PACKETS)
    assert len(sent) == pytest.approx(9000, rel=0.03)
    assert sent == sorted(sent, key=int)
    missing = sorted(set(range(10_000)) - {int(packet) for packet in sent})
    bursts = sum(after - before > 1 for before, after in zip(missing, missing[1:], strict=False))
    assert len(missing) / (bursts + 1) == pytest.approx(burst, rel=0.25)
    assert sent == through(Loss(0.1, burst=burst), PACKETS)


def test_no_loss_loses_nothing() -> None:
    assert through(Loss(0.0), PACKETS) == PACKETS
    with pytest.raises(ValueError, match="share"):
        Loss(1.0)


def test_jitter_delays_and_keeps_order() -> None:
    jitter = Jitter(5)
    bursts = [len(list(jitter(packet))) for packet in PACKETS]
    assert max(bursts) == 6
    assert bursts.count(0) > 1000
    sent = through(Jitter(5), PACKETS)
    assert sent == PACKETS[: len(sent)]
    assert len(sent) >= len(PACKETS) - 6


def test_repeat_and_swap() -> None:
    assert through(Repeat(3), PACKETS[:4]) == [b"0", b"1", b"2", b"2", b"3"]
    assert through(Swap(2), PACKETS[:5]) == [b"0", b"2", b"1", b"4", b"3"]
