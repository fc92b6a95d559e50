"""Writes a finished recording anew as FLAC or Opus, through libsndfile.

By way of the WAV file, so that a compressed one is never the only thing a failure leaves: where
it cannot be written, the WAV file is what is kept.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import soundfile
from loguru import logger

from sessions.journal_format import RecordingFormat

#: libsndfile's names of the container and the coding.
_CODINGS: dict[RecordingFormat, tuple[str, str]] = {
    "flac": ("FLAC", "PCM_16"),
    "opus": ("OGG", "OPUS"),
}
#: Opus has these rates only (RFC 6716, 2.1.3); 44.1 kHz and others stay WAV.
_OPUS_RATES_HZ = {8000, 12000, 16000, 24000, 48000}
SUFFIXES: dict[RecordingFormat, str] = {"wav": "wav", "flac": "flac", "opus": "ogg"}
CONTENT_TYPES: dict[RecordingFormat, str] = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "opus": "audio/ogg; codecs=opus",
}
_BLOCK_FRAMES = 32_000


class Sound(NamedTuple):
    """What a file of sound turned out to be."""

    format: RecordingFormat
    size_bytes: int
    sha256: str


def as_format(path: Path, wanted: RecordingFormat, wav: Sound, scratch: Path) -> Sound:
    """Write the WAV file at ``path`` as ``wanted``, in its place.

    Args:
        wav: What the file is now.
        scratch: A folder on whose disk it is written first, under no name.

    Raises:
        OSError: The disk would not have it.
    """
    if wanted == "wav":
        return wav
    with tempfile.TemporaryFile(dir=scratch) as part:
        try:
            _convert(path, part.fileno(), wanted)
        except (soundfile.SoundFileError, ValueError) as error:
            logger.warning(
                "a recording stays WAV, since it cannot be written as {}: {}", wanted, error
            )
            return wav
        part.seek(0)
        digest = hashlib.file_digest(part, "sha256").hexdigest()
        size = part.seek(0, os.SEEK_END)
        part.seek(0)
        with path.open("wb") as out:
            shutil.copyfileobj(part, out)
    return Sound(wanted, size, digest)


def _convert(source: Path, target: int, wanted: RecordingFormat) -> None:
    container, coding = _CODINGS[wanted]
    with soundfile.SoundFile(source) as wav:
        if wanted == "opus" and wav.samplerate not in _OPUS_RATES_HZ:
            raise soundfile.SoundFileRuntimeError(f"Opus has no rate of {wav.samplerate} Hz")
        with soundfile.SoundFile(
            *(target, "w", wav.samplerate, wav.channels),
            format=container,
            subtype=coding,
            closefd=False,
        ) as out:
            # Small blocks: libsndfile keeps a whole block of Vorbis and Opus on its stack.
            while len(block := wav.read(_BLOCK_FRAMES, dtype="int16")):
                out.write(block)
            frames = out.frames
        os.lseek(target, 0, os.SEEK_SET)
        with soundfile.SoundFile(target, closefd=False) as written:
            if written.frames != wav.frames:
                raise soundfile.SoundFileRuntimeError(f"{frames} of {wav.frames} were written")
