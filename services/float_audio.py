"""Float samples of a synthesiser to the 16-bit samples of a line."""

import numpy as np
import soxr
from numpy.typing import NDArray

_FLOAT_BYTES = 4
_FULL_SCALE = 32767.0
#: The stream resampler at LQ holds back 24 ms of audio from 44.1 to 8 kHz and 12 ms to 16 kHz,
#: at its default VHQ more than three times that; LQ damps aliases by 50 dB, QQ not at all
#: (soxr 1.0, pieces of 20 ms).
_QUALITY = "LQ"


class FromSynthesiser:
    """Float samples as they come off the wire, cut anywhere, to 16-bit samples for a line.

    Args:
        from_hz: Rate of what comes.
        to_hz: Rate of what is wanted.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._carry = b""
        self._resampler: soxr.ResampleStream | None = None
        if from_hz != to_hz:
            self._resampler = soxr.ResampleStream(
                from_hz, to_hz, 1, dtype="float32", quality=_QUALITY
            )

    def take(self, data: bytes) -> bytes:
        """The next bytes of 32-bit float little-endian samples, as 16-bit little-endian ones.

        A sample that is cut is completed by the next bytes. What is no number is silence, what
        is beyond full scale is clipped.
        """
        data = self._carry + data
        whole = len(data) - len(data) % _FLOAT_BYTES
        self._carry = data[whole:]
        return self._convert(np.frombuffer(data[:whole], dtype="<f4"), last=False)

    def rest(self) -> bytes:
        """What the resampler still holds; call once, at the end."""
        return self._convert(np.empty(0, dtype=np.float32), last=True)

    def _convert(self, samples: NDArray[np.float32], *, last: bool) -> bytes:
        sound = np.clip(np.nan_to_num(samples), -1.0, 1.0)
        if self._resampler is not None:
            sound = np.clip(self._resampler.resample_chunk(sound, last=last), -1.0, 1.0)
        pcm: bytes = np.rint(sound * _FULL_SCALE).astype("<i2").tobytes()
        return pcm
