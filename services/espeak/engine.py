"""Speaks on the event loop's behalf: one worker thread, fair turns, audio at the wire's rate.

espeak-ng makes a second of speech in about a millisecond, but only one text at a time, so one
thread serves every call of the process. Texts wait for it in line and are cut into pieces of a
breath's length, so that a long one does not keep the others waiting.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from config.errors import ProviderError
from services.espeak import library
from services.espeak.text import pieces

#: Chunks are whole multiples of this, save the last of a text.
FRAME_MS = 20

#: Of the silence in which the library starts a word (55 ms before a plosive) this much stays.
_LEAD_SAMPLES = library.NATIVE_RATE_HZ // 200
_SILENCE_LEVEL = 30

#: soxr's "HQ" passes 0.9 of the band flat and leaves nothing above it (-84 dB, measured with
#: tones at 22050 to 8000 Hz). That it wants 76 ms of sound ahead does not matter here: the
#: library makes those in a tenth of a millisecond. "QQ" has no lag and lets all aliases through.
_RESAMPLER_QUALITY = "HQ"

#: A piece is a breath; what goes on longer is not speech. Bounds the queue between the threads.
_LONGEST_PIECE_SECONDS = 60
_LONGEST_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a text is spoken.

    Attributes:
        voice: A voice's language code, with ``+variant`` if wanted.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        volume: Per cent of normal, 0 to 200.
    """

    voice: str
    rate_wpm: int = 150
    pitch: int = 50
    volume: int = 100


async def speak(text: str, manner: Manner, rate_hz: int) -> AsyncGenerator[bytes, None]:
    """Speak ``text``; closing the iterator stops the library within a chunk of 240 ms of sound.

    Args:
        text: What to say, of any length and kind.
        manner: How to say it.
        rate_hz: Sample rate to give.

    Yields:
        16-bit little-endian mono PCM, in whole 20 ms frames save the last chunk. A text with
        nothing to say yields nothing.

    Raises:
        ProviderError: The library or the voice is missing, or its thread did not answer.
    """
    utterance = _Utterance(manner, rate_hz)
    try:
        breaths = pieces(text)
        for number, breath in enumerate(breaths, 1):
            _worker().submit(utterance.say, breath, last=number == len(breaths))
            while (chunk := await utterance.next_chunk()) is not None:
                yield chunk
    finally:
        utterance.stopped = True


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")


class _Utterance:
    """One text on its way through the worker thread.

    Made and read on the event loop; ``say`` runs in the worker, one piece at a time.
    """

    def __init__(self, manner: Manner, rate_hz: int) -> None:
        self.stopped = False
        self._manner = manner
        self._rate_hz = rate_hz
        self._loop = asyncio.get_running_loop()
        # Never full: a piece's chunks are bounded, and the next piece is asked for when all of
        # the last one's have been taken.
        chunks = _LONGEST_PIECE_SECONDS * 1000 // library.CHUNK_MS
        self._ready: asyncio.Queue[bytes | ProviderError | None] = asyncio.Queue(chunks + 4)
        self._frame_bytes = rate_hz * FRAME_MS // 1000 * 2
        self._rest = b""
        self._begun = False
        self._made_samples = 0
        self._resampler: Any = None

    async def next_chunk(self) -> bytes | None:
        """The next chunk, or None when the piece is done."""
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                item = await self._ready.get()
        except TimeoutError:
            raise _failed("timeout", "espeak's thread did not answer", retryable=True) from None
        if isinstance(item, ProviderError):
            raise item
        return item

    def say(self, piece: str, *, last: bool) -> None:
        """Make one piece's sound; the end of it, or what went wrong, is the last item."""
        outcome: ProviderError | None = None
        try:
            if not self.stopped:
                self._synthesize(piece, last)
        except ProviderError as error:
            outcome = error
        except Exception as error:  # whatever it was, the waiting call must hear of it
            outcome = _failed("internal", f"espeak failed: {error!r}", retryable=True)
        self._hand_over(outcome)

    def _synthesize(self, piece: str, last: bool) -> None:
        self._made_samples = 0
        if self._rate_hz != library.NATIVE_RATE_HZ:
            self._resampler = soxr.ResampleStream(
                library.NATIVE_RATE_HZ, self._rate_hz, 1, dtype="int16", quality=_RESAMPLER_QUALITY
            )
        manner = self._manner
        library.synthesize(
            piece,
            manner.voice,
            manner.rate_wpm,
            manner.pitch,
            self._on_chunk,
            volume=manner.volume,
            end_pause=not last,
        )
        if not self.stopped:
            self._emit(self._resampled(np.zeros(0, np.int16), last=True), last)

    def _on_chunk(self, chunk: bytes) -> bool:
        samples = np.frombuffer(chunk, np.dtype("<i2"))
        self._made_samples += len(samples)
        if not self._begun:
            samples = self._without_lead(samples)
        if len(samples):
            self._emit(self._resampled(samples, last=False), last=False)
        too_long = self._made_samples > _LONGEST_PIECE_SECONDS * library.NATIVE_RATE_HZ
        return not (self.stopped or too_long)

    def _without_lead(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        loud = np.flatnonzero(np.abs(samples) > _SILENCE_LEVEL)
        if not len(loud):
            return samples[:0]
        self._begun = True
        return samples[max(0, int(loud[0]) - _LEAD_SAMPLES) :]

    def _resampled(self, samples: npt.NDArray[np.int16], *, last: bool) -> bytes:
        if self._resampler is None:
            return samples.tobytes()
        made: bytes = self._resampler.resample_chunk(samples, last=last).tobytes()
        return made

    def _emit(self, pcm: bytes, last: bool) -> None:
        pcm = self._rest + pcm
        whole = len(pcm) if last else len(pcm) // self._frame_bytes * self._frame_bytes
        self._rest = pcm[whole:]
        if whole:
            self._hand_over(pcm[:whole])

    def _hand_over(self, item: bytes | ProviderError | None) -> None:
        # The loop may have closed while the library was at work; then nobody is waiting.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ready.put_nowait, item)


def _failed(code: str, message: str, *, retryable: bool) -> ProviderError:
    return ProviderError(code, message, provider="espeak", stage="tts", retryable=retryable)
