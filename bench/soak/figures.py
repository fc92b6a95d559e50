"""Distributions, as text."""

import math
from collections.abc import Sequence
from typing import Final

_WIDTH: Final = 40


def spread(values: Sequence[float]) -> str:
    """Count, median, 95th and 99th percentile and maximum, as cells."""
    if not values:
        return "0 | - | - | - | -"
    ordered = sorted(values)

    def rank(share: float) -> str:
        return f"{ordered[max(0, math.ceil(share * len(ordered)) - 1)]:.0f}"

    return f"{len(ordered)} | {rank(0.5)} | {rank(0.95)} | {rank(0.99)} | {ordered[-1]:.0f}"


def histogram(values: Sequence[float], bin_ms: int = 10) -> list[str]:
    """One line per bin with anything in it: bounds, count and a bar.

    Args:
        values: Milliseconds, none negative.
        bin_ms: A bin holds what is at least its lower bound and below its upper one.
    """
    if not values:
        return ["none"]
    counts = [0] * (int(max(values) // bin_ms) + 1)
    for value in values:
        counts[int(value // bin_ms)] += 1
    most = max(counts)
    bars = ["#" * math.ceil(count * _WIDTH / most) for count in counts]
    return [
        f"{at * bin_ms:4d}-{(at + 1) * bin_ms:<4d} {count:4d} {bar}".rstrip()
        for at, (count, bar) in enumerate(zip(counts, bars, strict=True))
        if count
    ]
