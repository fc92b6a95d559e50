"""What a bad line does to the caller's packets: loss, jitter, repeats, wrong order.

An impairment takes each packet as it becomes due and returns those to send now. All are
reproducible by their seed.
"""

import random
from collections.abc import Iterable
from typing import Protocol


class Impairment(Protocol):
    """Called once per due packet."""

    def __call__(self, packet: bytes) -> Iterable[bytes]:
        """Return the packets that leave now, in order."""


class Loss:
    """Loses packets in bursts.

    Args:
        share: Long-run share of packets lost, 0 to 1.
        burst: Mean number of packets lost in a row (Gilbert's model).
    """

    def __init__(self, share: float, *, burst: float = 1.0, seed: int = 1) -> None:
        if not 0 <= share < 1 or burst < 1:
            raise ValueError("share must be in [0, 1) and burst at least 1")
        self._random = random.Random(seed)
        self._leave_bad = 1 / burst
        self._enter_bad = min(1.0, share / (1 - share) / burst)
        self._bad = False

    def __call__(self, packet: bytes) -> Iterable[bytes]:
        threshold = self._leave_bad if self._bad else self._enter_bad
        if self._random.random() < threshold:
            self._bad = not self._bad
        return () if self._bad else (packet,)


class Jitter:
    """Holds packets back for up to ``most_packets`` intervals, then sends them in a burst."""

    def __init__(self, most_packets: int, *, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._most = most_packets
        self._held: list[bytes] = []
        self._release_at = 1

    def __call__(self, packet: bytes) -> Iterable[bytes]:
        self._held.append(packet)
        if len(self._held) < self._release_at:
            return ()
        burst, self._held = self._held, []
        self._release_at = self._random.randint(1, self._most + 1)
        return burst


class Repeat:
    """Sends every ``every``-th packet twice."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._count = 0

    def __call__(self, packet: bytes) -> Iterable[bytes]:
        self._count += 1
        return (packet, packet) if self._count % self._every == 0 else (packet,)


class Swap:
    """Exchanges every ``every``-th packet with its successor."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._count = 0
        self._held: bytes | None = None

    def __call__(self, packet: bytes) -> Iterable[bytes]:
        self._count += 1
        if self._held is not None:
            held, self._held = self._held, None
            return (packet, held)
        if self._count % self._every == 0:
            self._held = packet
            return ()
        return (packet,)
