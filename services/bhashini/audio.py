"""Sample formats: 16-bit telephone audio to what Bhashini takes, and back from what it gives."""

import struct

import numpy as np
import soxr
from numpy.typing import NDArray

#: What a stream takes: 32-bit floats at this rate, and nothing else.
STREAM_RATE_HZ = 16_000
_FULL_SCALE = 32767.0
#: At LQ a stream resampler holds back 12 ms from 8 to 16 kHz, at its default VHQ 64 ms.
_QUALITY = "LQ"
_RATES_HZ = range(8_000, 96_001)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class ToStream:
    """16-bit samples of a line, as they come, to float samples for a stream.

    Args:
        rate_hz: Rate of the line.
    """

    def __init__(self, rate_hz: int) -> None:
        self._resampler: soxr.ResampleStream | None = None
        if rate_hz != STREAM_RATE_HZ:
            self._resampler = soxr.ResampleStream(
                rate_hz, STREAM_RATE_HZ, 1, dtype="float32", quality=_QUALITY
            )

    def take(self, pcm: bytes, *, last: bool = False) -> bytes:
        """The next samples, as 32-bit little-endian floats from -1 to 1; ``last`` ends it."""
        samples = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float32) / 32768.0
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        floats: bytes = np.clip(samples, -1.0, 1.0).astype("<f4").tobytes()
        return floats


def wav(pcm: bytes, rate_hz: int) -> bytes:
    """16-bit mono samples as a WAV file."""
    whole = pcm[: len(pcm) & ~1]
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(whole), b"WAVE", b"fmt ", 16)
    form = struct.pack("<HHIIHH", _PCM, 1, rate_hz, rate_hz * 2, 2, 16)
    return head + form + struct.pack("<4sI", b"data", len(whole)) + whole


def from_wav(file: bytes, rate_hz: int) -> bytes:
    """A mono WAV file of 16-bit or float samples, as 16-bit samples at ``rate_hz``.

    Lengths that a file claims and does not have are let pass, as writers to a pipe leave them.

    Raises:
        ValueError: It is no such file.
    """
    encoding, found_hz, data = _parsed(file)
    if encoding == _PCM:
        samples = np.frombuffer(data[: len(data) & ~1], dtype="<i2")
        if found_hz == rate_hz:
            return samples.tobytes()
        sound = samples.astype(np.float32) / 32768.0
    else:
        sound = np.nan_to_num(np.frombuffer(data[: len(data) & ~3], dtype="<f4"))
    return _sixteen_bit(sound, found_hz, rate_hz)


def _sixteen_bit(sound: NDArray[np.float32], from_hz: int, to_hz: int) -> bytes:
    if from_hz != to_hz:
        sound = soxr.resample(sound, from_hz, to_hz, quality="HQ")
    pcm: bytes = np.rint(np.clip(sound, -1.0, 1.0) * _FULL_SCALE).astype("<i2").tobytes()
    return pcm


def _parsed(file: bytes) -> tuple[int, int, bytes]:
    """Encoding, rate and samples of a WAV file."""
    if file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        raise ValueError("no WAV file")
    form: tuple[int, ...] | None = None
    place = 12
    while place + 8 <= len(file):
        name, size = struct.unpack_from("<4sI", file, place)
        place += 8
        if name == b"fmt " and place + 16 <= len(file):
            form = struct.unpack_from("<HHIIHH", file, place)
            if form[0] == _EXTENSIBLE and size >= 26 and place + 26 <= len(file):
                form = (struct.unpack_from("<H", file, place + 24)[0], *form[1:])
        elif name == b"data" and form is not None:
            encoding, channels, found_hz, _, _, bits = form
            if (encoding, bits) not in ((_PCM, 16), (_FLOAT, 32)) or channels != 1:
                raise ValueError(f"encoding {encoding}, {bits} bits, {channels} channels")
            if found_hz not in _RATES_HZ:
                raise ValueError(f"{found_hz} Hz")
            return encoding, found_hz, file[place : place + size]
        place += size + (size & 1)
    raise ValueError("a WAV file without sound")
