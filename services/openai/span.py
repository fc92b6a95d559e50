"""Which audio a text is about."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Span:
    """Goes with a text as its ``result``, so that speech after it is known to be without one.

    Attributes:
        start: Seconds from the first audio that the service was given.
        duration: Seconds.
    """

    start: float
    duration: float

    @classmethod
    def of(cls, end_bytes: int, said_bytes: int, rate_hz: int) -> Self:
        """The last ``said_bytes`` of 16-bit mono audio up to ``end_bytes``."""
        said = min(said_bytes, end_bytes)
        return cls((end_bytes - said) / 2 / rate_hz, said / 2 / rate_hz)
