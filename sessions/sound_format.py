"""Writes a finished recording anew as FLAC or Opus, through libsndfile.

By way of the WAV file, so that a compressed one is never the only thing a failure leaves: where
it cannot be written, the WAV file is what is kept.
"""

import hashlib
import os
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


def as_format(path: Path, wanted: RecordingFormat, wav: Sound) -> Sound:
    """Write the WAV file at ``path`` as ``wanted``, in its place.

    Args:
        wav: What the file is now.

    Raises:
        OSError: The disk would not have it.
    """
    if wanted == "wav":
        return wav
    part = path.with_name(f"{path.name}.part")
    try:
        _convert(path, part, wanted)
    except (soundfile.SoundFileError, ValueError) as error:
        part.unlink(missing_ok=True)
        logger.warning("a recording stays WAV, since it cannot be written as {}: {}", wanted, error)
        return wav
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = part.stat().st_size
    os.replace(part, path)
    return Sound(wanted, size, digest)


def _convert(source: Path, target: Path, wanted: RecordingFormat) -> None:
    container, coding = _CODINGS[wanted]
    with soundfile.SoundFile(source) as wav:
        if wanted == "opus" and wav.samplerate not in _OPUS_RATES_HZ:
            raise soundfile.SoundFileRuntimeError(f"Opus has no rate of {wav.samplerate} Hz")
        with soundfile.SoundFile(
            target, "w", wav.samplerate, wav.channels, format=container, subtype=coding
        ) as out:
            # Small blocks: libsndfile keeps a whole block of Vorbis and Opus on its stack.
            while len(block := wav.read(_BLOCK_FRAMES, dtype="int16")):
                out.write(block)
            frames = out.frames
        if soundfile.info(target).frames != wav.frames:
            raise soundfile.SoundFileRuntimeError(f"{frames} of {wav.frames} samples were written")
