"""The sample formats that travel on our wires, and their way to and from linear PCM.

Inside the server audio is always 16-bit little-endian mono PCM ("pcm" below). Nothing here
resamples: ``decode`` and ``encode`` keep the rate.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Encoding = Literal["mulaw", "pcm"]
ByteOrder = Literal["le", "be"]

_UINT16: Final = np.dtype("<u2")
_MULAW_BIAS: Final = 0x84
_MULAW_CLIP: Final = 32635


def _expand(code: int) -> int:
    """One mu-law byte to a 16-bit sample (ITU-T G.711, table 2a)."""
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) << 3) + _MULAW_BIAS) << ((inverted >> 4) & 0x07)
    magnitude -= _MULAW_BIAS
    return -magnitude if inverted & 0x80 else magnitude


def _compress_all() -> npt.NDArray[np.uint8]:
    """The mu-law byte of each 16-bit sample, indexed by the sample's unsigned bit pattern."""
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    sign = np.where(sample < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(sample), _MULAW_CLIP) + _MULAW_BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    code: npt.NDArray[np.int32] = ~(sign | (exponent << 4) | mantissa) & 0xFF
    return code.astype(np.uint8)


_EXPAND: Final = [_expand(code).to_bytes(2, "little", signed=True) for code in range(256)]
_EXPAND_LOW: Final = bytes(pair[0] for pair in _EXPAND)
_EXPAND_HIGH: Final = bytes(pair[1] for pair in _EXPAND)
_COMPRESS: Final = _compress_all()


def mulaw_to_pcm(data: bytes) -> bytes:
    """G.711 mu-law to 16-bit little-endian PCM, two bytes out for each byte in."""
    pcm = bytearray(2 * len(data))
    pcm[0::2] = data.translate(_EXPAND_LOW)
    pcm[1::2] = data.translate(_EXPAND_HIGH)
    return bytes(pcm)


def pcm_to_mulaw(pcm: bytes) -> bytes:
    """16-bit little-endian PCM to G.711 mu-law; an odd last byte is dropped."""
    samples = np.frombuffer(pcm, dtype=_UINT16, count=len(pcm) // 2)
    return _COMPRESS.take(samples, mode="wrap").tobytes()


def swap_bytes(pcm: bytes) -> bytes:
    """The other byte order of 16-bit samples; an odd last byte is dropped."""
    return np.frombuffer(pcm, dtype=_UINT16, count=len(pcm) // 2).byteswap().tobytes()


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How mono audio is written on one wire, in one direction.

    Attributes:
        encoding: ``mulaw`` (G.711, one byte per sample) or ``pcm`` (linear, 16 bits).
        rate_hz: Samples per second, a multiple of 1000.
        byte_order: Of ``pcm`` samples; always ``le`` for ``mulaw``, which has none.
    """

    encoding: Encoding
    rate_hz: int
    byte_order: ByteOrder = "le"

    def __post_init__(self) -> None:
        if self.rate_hz <= 0 or self.rate_hz % 1000:
            raise ValueError(f"rate_hz must be a positive multiple of 1000, not {self.rate_hz}")
        if self.encoding == "mulaw" and self.byte_order != "le":
            raise ValueError("mulaw has no byte order")

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample: 1 or 2."""
        return 1 if self.encoding == "mulaw" else 2

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of one millisecond of audio."""
        return self.rate_hz // 1000 * self.sample_bytes

    @property
    def silence_byte(self) -> bytes:
        """The one byte that, repeated, is silence."""
        return b"\xff" if self.encoding == "mulaw" else b"\x00"

    def silence(self, duration_ms: int) -> bytes:
        """That many milliseconds of silence, as on the wire."""
        return self.silence_byte * (self.bytes_per_ms * duration_ms)

    def duration_ms(self, size_bytes: int) -> float:
        """How long that many bytes on the wire play."""
        return size_bytes / self.bytes_per_ms

    def decode(self, data: bytes) -> bytes:
        """Wire bytes to 16-bit little-endian PCM at ``rate_hz``; an odd last byte is dropped."""
        if self.encoding == "mulaw":
            return mulaw_to_pcm(data)
        if self.byte_order == "be":
            return swap_bytes(data)
        return data[:-1] if len(data) & 1 else data

    def encode(self, pcm: bytes) -> bytes:
        """16-bit little-endian PCM at ``rate_hz`` to wire bytes; an odd last byte is dropped."""
        if self.encoding == "mulaw":
            return pcm_to_mulaw(pcm)
        if self.byte_order == "be":
            return swap_bytes(pcm)
        return pcm[:-1] if len(pcm) & 1 else pcm


MULAW_8K: Final = AudioFormat("mulaw", 8000)
PCM_8K: Final = AudioFormat("pcm", 8000)
PCM_16K: Final = AudioFormat("pcm", 16000)
PCM_24K: Final = AudioFormat("pcm", 24000)
