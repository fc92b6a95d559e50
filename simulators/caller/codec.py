"""Wire codecs of the simulated caller, written from G.711 and RFC 2586.

They share nothing with the server's own, so that an error in one is not hidden by the other.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulators.speech import Pcm

ByteOrder = Literal["big", "little"]
Encoding = Literal["audio/x-mulaw", "audio/x-l16"]

PACKET_MS: Final = 20
#: A packet is audible where any sample reaches this magnitude (-42 dBFS).
AUDIBLE_LEVEL: Final = 256

_BIAS: Final = 132
_CLIP: Final = 32635


def _mulaw_encode_table() -> NDArray[np.uint8]:
    """Codes of all 65536 samples, indexed by the sample seen as unsigned (G.711, table 2a)."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    return np.asarray(~(sign | exponent << 4 | mantissa) & 0xFF, dtype=np.uint8)


def _mulaw_decode_table() -> Pcm:
    """Samples of all 256 codes."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS << ((code & 0x70) >> 4)) - _BIAS
    return np.asarray(np.where(code & 0x80, -magnitude, magnitude), dtype=np.int16)


_ENCODE: Final = _mulaw_encode_table()
_DECODE: Final = _mulaw_decode_table()
_INAUDIBLE_CODES: Final = bytes(
    code for code in range(256) if abs(int(_DECODE[code])) < AUDIBLE_LEVEL
)


@dataclass(frozen=True, slots=True)
class WireFormat:
    """How samples travel.

    Attributes:
        encoding: MIME type without parameters.
        rate_hz: Sample rate.
        order: Byte order of L16 samples; meaningless for mu-law.
    """

    encoding: Encoding
    rate_hz: int
    order: ByteOrder = "little"

    @property
    def sample_bytes(self) -> int:
        """Bytes per sample."""
        return 1 if self.encoding == "audio/x-mulaw" else 2

    @property
    def packet_samples(self) -> int:
        """Samples in 20 ms."""
        return self.rate_hz * PACKET_MS // 1000

    @property
    def packet_bytes(self) -> int:
        """Bytes in 20 ms."""
        return self.packet_samples * self.sample_bytes

    def silence(self) -> bytes:
        """20 ms of digital silence."""
        return (b"\xff" if self.sample_bytes == 1 else b"\0") * self.packet_bytes

    def encode(self, pcm: Pcm) -> bytes:
        """Samples to wire bytes."""
        if self.sample_bytes == 1:
            return _ENCODE[pcm.view(np.uint16)].tobytes()
        return pcm.astype(">i2" if self.order == "big" else "<i2").tobytes()

    def decode(self, payload: bytes) -> Pcm:
        """Wire bytes to samples.

        Raises:
            ValueError: An odd number of bytes in an L16 payload.
        """
        if self.sample_bytes == 1:
            return _DECODE[np.frombuffer(payload, dtype=np.uint8)]
        wire = np.frombuffer(payload, dtype=">i2" if self.order == "big" else "<i2")
        return wire.astype(np.int16)

    def audible(self, payload: bytes) -> bool:
        """Whether any sample is loud enough to be heard; cheap, for every packet of a call."""
        if self.sample_bytes == 1:
            return bool(payload.translate(None, _INAUDIBLE_CODES))
        high_bytes = payload[0::2] if self.order == "big" else payload[1::2]
        return bool(high_bytes.strip(b"\x00\xff"))

    def packets(self, pcm: Pcm) -> tuple[bytes, ...]:
        """Cut samples into 20 ms payloads, the last padded with silence."""
        short = -pcm.size % self.packet_samples
        encoded = self.encode(np.concatenate([pcm, np.zeros(short, dtype=np.int16)]))
        step = self.packet_bytes
        return tuple(encoded[at : at + step] for at in range(0, len(encoded), step))


MULAW_8K: Final = WireFormat("audio/x-mulaw", 8000)


@lru_cache(maxsize=16)
def l16(rate_hz: int, order: ByteOrder) -> WireFormat:
    """16-bit linear PCM at the given rate and byte order."""
    return WireFormat("audio/x-l16", rate_hz, order)
