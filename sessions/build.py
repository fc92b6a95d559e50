"""Builds what is kept of a call from its journal: recording, transcript and record.

The files are made where :mod:`sessions.built_files` says. Those that last are listed in a manifest
written last, so that a second try at storing them does not build them again. All of it blocks:
run it in a thread.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec
from loguru import logger

from bot.events import CallEvent, Degraded
from config.prices import PricesSettings
from sessions.built_files import FOLDER, BuiltFiles, NamedFiles
from sessions.journal_format import (
    RECORDING_FAILED,
    FileDamage,
    JournalHeader,
    read_events,
    read_header,
)
from sessions.journal_losses import is_recording_complete, losses
from sessions.record import CallRecord, RecordingRecord, make_record
from sessions.recording import Recording, make_recording
from sessions.sound_format import CONTENT_TYPES, SUFFIXES
from sessions.transcript import as_text, make_transcript
from sessions.webvtt import as_vtt
from storage.base import StorageKind

_MANIFEST = "manifest.json"
_SOUND = "recording"
_JSON, _TEXT, _VTT = "transcript.json", "transcript.txt", "transcript.vtt"


class BuiltFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that waits to be stored."""

    name: str
    kind: StorageKind
    key: str
    content_type: str
    size_bytes: int
    sha256: str


class BuiltCall(msgspec.Struct, frozen=True, kw_only=True):
    """All that is to be kept of one call.

    Attributes:
        record: Still without the places of the files.
        record_key: Where the record goes, in the kind ``transcripts``.
        salvage: The recording could not be made: the journal is to be kept aside.
    """

    record: CallRecord
    record_key: str
    recording: BuiltFile | None
    transcript: BuiltFile
    transcript_text: BuiltFile
    transcript_vtt: BuiltFile | None = None
    salvage: bool = False


def built_path(folder: Path, file: BuiltFile) -> Path:
    """Where a built file of the journal in ``folder`` lies that is not sealed."""
    return folder / FOLDER / file.name


def build_call(
    folder: Path, prices: PricesSettings | None = None, files: BuiltFiles | None = None
) -> BuiltCall:
    """Build everything from the journal in ``folder``, or take what an earlier try has built.

    Args:
        prices: For the cost in its record.
        files: Where to put it; in the journal's folder by default.

    Raises:
        FileNotFoundError, msgspec.MsgspecError: There is no readable header.
        OSError: The disk would not have it.
    """
    files = files or NamedFiles(folder)
    if files.lasting and (earlier := read_built(folder)) is not None:
        if _is_unharmed(folder, earlier):
            return earlier
        logger.warning("what was built of journal {} has changed: it is built anew", folder.name)
    built = _build(folder, files, prices)
    if files.lasting:
        manifest = files.path(_MANIFEST)
        part = manifest.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(built))
        os.replace(part, manifest)
    return built


def read_built(folder: Path) -> BuiltCall | None:
    """What an earlier try has built from the journal in ``folder``, without building anything.

    Raises:
        OSError: The disk would not give it.
    """
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        built = msgspec.json.decode((folder / FOLDER / _MANIFEST).read_bytes(), type=BuiltCall)
        if _is_whole(folder, built):
            return built
    return None


def _is_whole(folder: Path, built: BuiltCall) -> bool:
    return all(built_path(folder, file).stat().st_size == file.size_bytes for file in _files(built))


def _is_unharmed(folder: Path, built: BuiltCall) -> bool:
    """Files are not synced while they wait: a power failure may leave them long and empty."""
    for file in _files(built):
        with built_path(folder, file).open("rb") as handle:
            if hashlib.file_digest(handle, "sha256").hexdigest() != file.sha256:
                return False
    return True


def _files(built: BuiltCall) -> list[BuiltFile]:
    kept = (built.recording, built.transcript, built.transcript_text, built.transcript_vtt)
    return [file for file in kept if file]


def _build(folder: Path, files: BuiltFiles, prices: PricesSettings | None) -> BuiltCall:
    lines, media = FileDamage(), FileDamage()
    header, events = read_header(folder), read_events(folder, lines)
    key = header.key
    recording = _recording(folder, header, files.path(_SOUND), media)
    events += losses(folder, events, media, lines)
    sound = _sound(header, events, recording)
    transcript = make_transcript(header.session_id, header.started_at, events)
    text, vtt = as_text(transcript).encode(), as_vtt(transcript).encode()
    last_ms = sound.duration_ms
    return BuiltCall(
        record=make_record(header, events, sound, last_ms=last_ms, prices=prices),
        record_key=header.record_key,
        recording=_sound_file(recording, key) if isinstance(recording, Recording) else None,
        transcript=_write(
            files, _JSON, f"{key}.json", "application/json", msgspec.json.encode(transcript)
        ),
        transcript_text=_write(files, _TEXT, f"{key}.txt", "text/plain; charset=utf-8", text),
        transcript_vtt=_write(files, _VTT, f"{key}.vtt", "text/vtt; charset=utf-8", vtt),
        salvage=isinstance(recording, Exception),
    )


def _recording(
    folder: Path, header: JournalHeader, target: Path, damage: FileDamage
) -> Recording | Exception | None:
    """The recording; None where there is nothing to record, or why it could not be made."""
    if not header.record_audio:
        return None
    try:
        return make_recording(folder, header, target, damage)
    except (ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        # A journal that no recording can be made of must not keep the transcript and the
        # record from being stored; trying again would not help.
        logger.exception("no recording can be made of journal {}", header.session_id)
        return error


def _sound(
    header: JournalHeader, events: list[CallEvent], recording: Recording | Exception | None
) -> RecordingRecord:
    if not header.record_audio:
        return RecordingRecord(state="off")
    if isinstance(recording, Exception):
        return RecordingRecord(state="failed", complete=False)
    complete = is_recording_complete(events)
    if recording is None:
        return RecordingRecord(state="empty", complete=complete)
    failed = any(isinstance(e, Degraded) and e.kind == RECORDING_FAILED for e in events)
    return RecordingRecord(
        state="failed" if failed else "stored",
        complete=complete,
        duration_ms=recording.duration_ms,
        caller_ms=recording.caller_ms,
        agent_ms=recording.agent_ms,
        rate_hz=recording.rate_hz,
        channels=recording.channels,
    )


def _sound_file(recording: Recording, key: str) -> BuiltFile:
    return BuiltFile(
        name=_SOUND,
        kind="recordings",
        key=f"{key}.{SUFFIXES[recording.format]}",
        content_type=CONTENT_TYPES[recording.format],
        size_bytes=recording.size_bytes,
        sha256=recording.sha256,
    )


def _write(files: BuiltFiles, name: str, key: str, content_type: str, data: bytes) -> BuiltFile:
    files.path(name).write_bytes(data)
    return BuiltFile(
        name=name,
        kind="transcripts",
        key=key,
        content_type=content_type,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
