"""One utterance of a caller: what is said between two pauses, on its way to text."""

import abc
import asyncio
from collections.abc import Awaitable, Callable

#: No recogniser answers anything useful to less.
MIN_SPEECH_MS = 100

Interim = Callable[[str], Awaitable[None]]


class Utterance(abc.ABC):
    """What a caller says between two pauses, while it is being said.

    Args:
        rate_hz: Of its 16-bit mono audio.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.pcm = bytearray()
        self.is_over = False
        self._changed = asyncio.Event()

    @property
    def duration_seconds(self) -> float:
        """How much was said so far."""
        return len(self.pcm) / 2 / self.rate_hz

    def feed(self, pcm: bytes) -> None:
        """Say some more."""
        self.pcm += pcm
        self._changed.set()

    def finish(self) -> None:
        """Nothing more will be said."""
        self.is_over = True
        self._changed.set()

    async def said_more_than(self, size: int) -> None:
        """Wait until there are more bytes than ``size``, or the utterance is over."""
        while len(self.pcm) <= size and not self.is_over:
            self._changed.clear()
            await self._changed.wait()

    @abc.abstractmethod
    async def text(self, on_interim: Interim) -> str:
        """All of it as text, once it is over; empty if nothing was understood.

        Raises:
            ProviderError: It could not be had.
        """


class Whole(Utterance):
    """Read in one piece, when it is over."""

    async def text(self, on_interim: Interim) -> str:
        """See the base class."""
        while not self.is_over:
            await self.said_more_than(len(self.pcm))
        if self.duration_seconds * 1000 < MIN_SPEECH_MS:
            return ""
        return await self.read(bytes(self.pcm))

    @abc.abstractmethod
    async def read(self, pcm: bytes) -> str:
        """All of it as text; empty if nothing was understood.

        Args:
            pcm: 16-bit little-endian mono samples at ``rate_hz``.

        Raises:
            ProviderError: It could not be had.
        """
