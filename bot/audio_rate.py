"""Brings a synthesiser's audio to the line's rate, whatever it sends."""

import numpy as np
import soxr


class RateMatcher:
    """Streams 16-bit mono samples at one rate; equal rates pass untouched.

    A byte that is left over is kept for the next piece, since some vendors cut their audio in
    the middle of a sample.

    Args:
        rate_hz: What comes out.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._from_hz = rate_hz
        self._resampler: soxr.ResampleStream | None = None
        self._odd = b""

    def take(self, pcm: bytes, rate_hz: int, channels: int = 1) -> bytes:
        """Convert one piece.

        Args:
            pcm: 16-bit little-endian samples, channels interleaved.
            rate_hz: Their rate.
            channels: How many; more than one are mixed.

        Returns:
            What is ready, as 16-bit little-endian mono; may be empty.
        """
        width = 2 * channels
        pcm = self._odd + pcm
        whole = len(pcm) - len(pcm) % width
        self._odd, pcm = pcm[whole:], pcm[:whole]
        if channels > 1:
            frames = np.frombuffer(pcm, dtype="<i2").reshape(-1, channels)
            pcm = frames.mean(axis=1).astype("<i2").tobytes()
        if rate_hz != self._from_hz:
            self._from_hz = rate_hz
            self._resampler = None
            if rate_hz != self._rate_hz:
                # LQ: lags a few milliseconds, where the default lags up to 150.
                self._resampler = soxr.ResampleStream(
                    rate_hz, self._rate_hz, 1, dtype="int16", quality="LQ"
                )
        if self._resampler is None:
            return pcm
        return self._resample(pcm, last=False)

    def flush(self) -> bytes:
        """The end of an utterance: what the resampler still holds."""
        rest = self._resample(b"", last=True) if self._resampler is not None else b""
        self.reset()
        return rest

    def reset(self) -> None:
        """Forget what is held: the utterance was cut off."""
        self._odd = b""
        self._resampler = None
        self._from_hz = self._rate_hz

    def _resample(self, pcm: bytes, *, last: bool) -> bytes:
        assert self._resampler is not None
        samples = np.frombuffer(pcm, dtype="<i2")
        resampled: bytes = self._resampler.resample_chunk(samples, last=last).tobytes()
        return resampled
