"""The caller's audio on its way in: wire packets to even pieces of linear samples."""

import numpy as np
import soxr

from serializer.codecs import AudioFormat

#: Audio handed on at a time: two packets of a phone line. Half the frames, half the
#: pipeline's cost, for 20 ms of delay at most.
CHUNK_MS = 40


class Ear:
    """Decodes and collects one call's incoming audio.

    Voice activity knows 8 and 16 kHz, so a 24 kHz line is brought down to 16; other rates stay.

    Args:
        line: Codec of what comes in.
    """

    def __init__(self, line: AudioFormat) -> None:
        self.rate_hz = 8000 if line.rate_hz == 8000 else 16000
        self._line = line
        self._chunk_bytes = line.bytes_per_ms * CHUNK_MS
        self._buffer = bytearray()
        self._resampler: soxr.ResampleStream | None = None
        if line.rate_hz != self.rate_hz:
            self._resampler = soxr.ResampleStream(
                line.rate_hz, self.rate_hz, 1, dtype="int16", quality="LQ"
            )

    def take(self, payload: bytes) -> bytes | None:
        """Add wire bytes.

        Returns:
            At least :data:`CHUNK_MS` of 16-bit little-endian samples at ``rate_hz``, or None
            while there is less.
        """
        self._buffer += payload
        if len(self._buffer) < self._chunk_bytes:
            return None
        whole = len(self._buffer) - len(self._buffer) % self._line.sample_bytes
        pcm = self._line.decode(bytes(self._buffer[:whole]))
        del self._buffer[:whole]
        if self._resampler is None:
            return pcm
        samples = np.frombuffer(pcm, dtype=np.int16)
        resampled: bytes = self._resampler.resample_chunk(samples).tobytes()
        return resampled
