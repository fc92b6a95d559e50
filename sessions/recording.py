"""Makes the recording of a call from its journal: one file, caller left and agent right.

16-bit PCM at the faster leg's rate. The file is made in blocks of a few seconds, so that a call
of hours needs no more memory than a short one.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from serializer.codecs import AudioFormat
from sessions.journal_format import MEDIA_NAME, FileDamage, JournalHeader, RecordingFormat
from sessions.journal_seal import MEDIA_FILE, ClearFile, open_clear
from sessions.sound_format import Sound, as_format
from sessions.timeline import Leg, breathe, lay_out

Samples = npt.NDArray[np.int16]

_BLOCK_SECONDS = 4
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
#: The length fields of RIFF have 32 bits; what is longer is cut (13 hours of stereo at 24 kHz).
_MAX_DATA_BYTES = 0xFFFFFFFF - _WAV_HEADER.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording on disk.

    Attributes:
        duration_ms: Length of the longer leg, from the start of the session.
        caller_ms: Audio that came from the caller, without the silence that filled gaps.
        agent_ms: Audio of the agent that was heard.
    """

    path: Path
    format: RecordingFormat
    sha256: str
    size_bytes: int
    rate_hz: int
    channels: int
    duration_ms: float
    caller_ms: float
    agent_ms: float


def make_recording(
    folder: Path, header: JournalHeader, target: Path, damage: FileDamage | None = None
) -> Recording | None:
    """Write the recording of the journal in ``folder`` to ``target``.

    Blocks; run it in a thread. Returns None, and writes nothing, where there is no audio.

    Args:
        damage: Counts what of the journal could not be read.

    Raises:
        OSError: The disk would not have it.
    """
    legs = lay_out(folder, header.caller_format, header.agent_format, damage)
    if not any(leg.end for leg in legs):
        return None
    rate_hz = max(leg.format.rate_hz for leg in legs)
    total = max(-(-leg.end * rate_hz // leg.format.rate_hz) for leg in legs)
    channels = 2 if header.stereo else 1
    total = min(total, _MAX_DATA_BYTES // (2 * channels))
    with open_clear(folder, MEDIA_NAME, MEDIA_FILE) as media, target.open("wb") as out:
        sides = [_at_rate(_read_leg(media, leg), leg.format, rate_hz) for leg in legs]
        digest = hashlib.sha256()
        for block in _wav(*sides, total=total, rate_hz=rate_hz, channels=channels):
            digest.update(block)
            out.write(block)
        size = out.tell()
    wav = Sound("wav", size, digest.hexdigest())
    sound = as_format(target, header.recording_format, wav, folder)
    return Recording(
        path=target,
        format=sound.format,
        sha256=sound.sha256,
        size_bytes=sound.size_bytes,
        rate_hz=rate_hz,
        channels=channels,
        duration_ms=total * 1000 / rate_hz,
        caller_ms=_audio_ms(legs[0]),
        agent_ms=_audio_ms(legs[1]),
    )


def _audio_ms(leg: Leg) -> float:
    return sum(leg.counts) * 1000 / leg.format.rate_hz


def _wav(
    caller: Iterator[Samples], agent: Iterator[Samples], *, total: int, rate_hz: int, channels: int
) -> Iterator[bytes]:
    """The bytes of a WAV file with ``total`` samples in each channel."""
    yield wav_header(total, rate_hz, channels)
    left, right = _Blocks(caller), _Blocks(agent)
    done = 0
    while done < total:
        count = min(_BLOCK_SECONDS * rate_hz, total - done)
        pair = left.take(count), right.take(count)
        if channels == 2:
            yield np.stack(pair, axis=1).astype("<i2", copy=False).tobytes()
        else:
            mixed = pair[0].astype(np.int32) + pair[1]
            yield np.clip(mixed, -32768, 32767).astype("<i2").tobytes()
        done += count


def wav_header(samples: int, rate_hz: int, channels: int) -> bytes:
    """The 44 bytes before 16-bit PCM data (RIFF WAVE, format 1)."""
    frame = 2 * channels
    size = samples * frame
    return _WAV_HEADER.pack(
        *(b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, channels),
        *(rate_hz, rate_hz * frame, frame, 16, b"data", size),
    )


class _Blocks:
    """Cuts a stream of samples to wished lengths, with silence after its end."""

    def __init__(self, source: Iterator[Samples]) -> None:
        self._source = source
        self._rest: Samples = np.zeros(0, np.int16)

    def take(self, count: int) -> Samples:
        pieces, have = [self._rest], len(self._rest)
        while have < count:
            piece = next(self._source, None)
            if piece is None:
                piece = np.zeros(count - have, np.int16)
            pieces.append(piece)
            have += len(piece)
        joined = np.concatenate(pieces)
        self._rest = joined[count:]
        return joined[:count]


def _at_rate(blocks: Iterator[Samples], form: AudioFormat, rate_hz: int) -> Iterator[Samples]:
    if form.rate_hz == rate_hz:
        yield from blocks
        return
    # soxr's output is aligned with its input: the delay is only in when it comes out.
    stream = soxr.ResampleStream(form.rate_hz, rate_hz, 1, dtype="int16", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.int16), last=True)


def _read_leg(media: ClearFile, leg: Leg) -> Iterator[Samples]:
    """The leg's samples from ms zero, silence included, in blocks of some seconds."""
    block = _BLOCK_SECONDS * leg.format.rate_hz
    index = 0
    for begin in range(0, leg.end, block):
        size = min(block, leg.end - begin)
        samples = np.zeros(size, np.int16)
        index = _fill(media, leg, index, begin, samples)
        yield samples


def _fill(media: ClearFile, leg: Leg, index: int, begin: int, samples: Samples) -> int:
    """Lay the packets from ``index`` on into ``samples``; return the first for the next block."""
    stop = begin + len(samples)
    while index < len(leg.starts) and leg.starts[index] < stop:
        last = _run_end(leg, index, stop)
        first = max(0, begin - leg.starts[index])
        audio = _decode(media, leg, index, last)[first:]
        at = max(leg.starts[index], begin) - begin
        fits = min(len(audio), len(samples) - at)
        samples[at : at + fits] = audio[:fits]
        if leg.starts[last - 1] + leg.counts[last - 1] > stop:
            return last - 1  # Its rest belongs to the next block.
        index = last
    return index


def _run_end(leg: Leg, index: int, stop: int) -> int:
    """The packet after those that follow ``index`` without a gap and begin before ``stop``."""
    starts, counts = leg.starts, leg.counts
    end = starts[index] + counts[index]
    index += 1
    while index < len(starts) and starts[index] == end < stop:
        end += counts[index]
        index += 1
    return index


def _decode(media: ClearFile, leg: Leg, first: int, last: int) -> Samples:
    """The samples of neighbouring packets, read from the journal in one piece."""
    width = leg.format.sample_bytes
    base = leg.offsets[first]
    end = leg.offsets[last - 1] + leg.counts[last - 1] * width
    raw = media.read(end - base, base)
    payloads = []
    for i in range(first, last):
        at = leg.offsets[i] - base
        payloads.append(raw[at : at + leg.counts[i] * width])
        breathe(i)
    pcm = np.frombuffer(leg.format.decode(b"".join(payloads)), dtype="<i2")
    return pcm.astype(np.int16, copy=False)
