"""Speech of Indic Parler as its servers send it: a format, float samples, an end."""

import abc
import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from services.failures import Failures
from services.float_audio import FromSynthesiser

#: Audio is converted in pieces of this size (0.4 s), so that the event loop never waits long.
PIECE_BYTES = 64 * 1024
MAX_DETAIL = 120
RATES_HZ = range(8_000, 96_001)


class Sentence(abc.ABC):
    """One sentence that a server speaks.

    Until it is read, the server is slowed down by the network, so that an early begin costs
    little memory.

    Args:
        failures: Makes the vendor's errors.
        rate_hz: Rate of the audio that is wanted.
        stall_timeout_seconds: Limit for the next audio.
    """

    def __init__(self, failures: Failures, rate_hz: int, stall_timeout_seconds: float) -> None:
        self._failures = failures
        self._rate_hz = rate_hz
        self._stall_seconds = stall_timeout_seconds
        self._converter: FromSynthesiser | None = None
        self._done = False

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """16-bit little-endian mono samples at the wanted rate, as soon as they come.

        Raises:
            ProviderError: The server reported a failure, left before it was done, gave no audio
                for too long, or none at all.
        """
        heard = False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._stall_seconds
        while not self._done:
            data = await self._received(deadline)
            for start in range(0, len(data), PIECE_BYTES):
                if pcm := self._convert(data[start : start + PIECE_BYTES]):
                    heard = True
                    yield pcm
                    await asyncio.sleep(0)
                deadline = loop.time() + self._stall_seconds
        if self._converter is not None and (pcm := self._converter.rest()) and heard:
            yield pcm
        if not heard:
            raise self._failures.failure("tts", "no_audio", "the sentence came back without audio")

    @abc.abstractmethod
    async def receive(self) -> bytes:
        """The next float samples, cut anywhere; nothing after a message of another kind.

        Raises:
            ProviderError: The server reported a failure, or left.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Want no more: takes no time, whatever the server does. Safe to call twice."""

    def announce(self, dtype: str, channels: int, rate_hz: int) -> None:
        """Take the format of the audio that follows.

        Raises:
            ProviderError: It is none that can be used.
        """
        if dtype != "float32" or channels != 1 or rate_hz not in RATES_HZ:
            found = printable(f"{dtype}, {channels} channels, {rate_hz} Hz")
            raise self._failures.failure(
                "tts", "format", f"cannot use audio of {found}", retryable=False
            )
        if self._converter is None:
            self._converter = FromSynthesiser(rate_hz, self._rate_hz)

    def finish(self) -> None:
        """The server is done."""
        self._done = True

    async def _received(self, deadline: float) -> bytes:
        try:
            async with asyncio.timeout_at(deadline):
                return await self.receive()
        except TimeoutError as error:
            silence = f"no audio for {self._stall_seconds:g} s"
            raise self._failures.failure("tts", "timeout", silence) from error

    def _convert(self, data: bytes) -> bytes:
        """Audio; what comes before its format is known can be none, and is left out."""
        return self._converter.take(data) if self._converter is not None else b""


class Synthesiser(Protocol):
    """A server that speaks."""

    @property
    def rate_hz(self) -> int:
        """Rate of the audio that is wanted."""

    @property
    def connect_timeout_seconds(self) -> float:
        """Limit for the server to take a sentence."""

    @property
    def stall_timeout_seconds(self) -> float:
        """Limit for the next audio."""

    async def begin(self, text: str, *, description: str, language: str) -> Sentence:
        """Have the server begin with a sentence; its audio is read from what is returned.

        Raises:
            ProviderError: The server could not be reached or refused.
        """


async def speak(synthesiser: Synthesiser, text: str, *, description: str, language: str) -> bytes:
    """A whole sentence at once.

    Raises:
        ProviderError: As :meth:`Synthesiser.begin` and :meth:`Sentence.audio`.
    """
    sentence = await synthesiser.begin(text, description=description, language=language)
    try:
        return b"".join([pcm async for pcm in sentence.audio()])
    finally:
        await sentence.close()


def printable(text: str) -> str:
    """What a server says of itself, fit to be shown."""
    return "".join(c for c in text[:MAX_DETAIL] if c.isprintable()) or "no reason given"
