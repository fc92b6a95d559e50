"""Sample formats: a line's 16-bit audio to what OpenAI takes, and back from what it gives."""

import numpy as np
import soxr
from numpy.typing import NDArray

#: What speech comes as, and what a realtime session takes besides mu-law at 8 kHz.
OPENAI_RATE_HZ = 24_000
TELEPHONE_RATE_HZ = 8_000
_BIAS, _CLIP = 0x84, 32_635
#: At LQ a stream resampler holds back some 12 ms, at its default VHQ 85 (24 to 8 kHz).
_QUALITY = "LQ"


class Resampler:
    """16-bit little-endian mono samples as they come, cut anywhere, at another rate.

    Args:
        from_hz: Rate of what comes.
        to_hz: Rate of what is wanted.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._carry = b""
        self._stream: soxr.ResampleStream | None = None
        if from_hz != to_hz:
            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16", quality=_QUALITY)

    def take(self, data: bytes) -> bytes:
        """The next bytes; a sample that is cut is completed by those after them."""
        data = self._carry + data
        whole = len(data) & ~1
        self._carry = data[whole:]
        return self._convert(data[:whole], last=False)

    def rest(self) -> bytes:
        """What is still held; call once, at the end."""
        return self._convert(b"", last=True)

    def _convert(self, pcm: bytes, *, last: bool) -> bytes:
        if self._stream is None:
            return pcm
        samples: NDArray[np.int16] = np.frombuffer(pcm, dtype="<i2")
        resampled: bytes = self._stream.resample_chunk(samples, last=last).astype("<i2").tobytes()
        return resampled


def _mulaw_table() -> NDArray[np.uint8]:
    """The mu-law byte of each 16-bit sample, by its bit pattern (ITU-T G.711, table 2a)."""
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    sign = np.where(sample < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    code: NDArray[np.int32] = ~(sign | exponent << 4 | mantissa) & 0xFF
    return code.astype(np.uint8)


_MULAW = _mulaw_table()


def mulaw(pcm: bytes) -> bytes:
    """16-bit samples as mu-law, a byte each. A telephone's audio was that before: nothing is lost.

    Args:
        pcm: Little-endian; an odd last byte is dropped.
    """
    samples = np.frombuffer(pcm, dtype="<u2", count=len(pcm) // 2)
    return _MULAW.take(samples, mode="wrap").tobytes()
