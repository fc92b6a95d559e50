"""What can be read of a call whose parts are not in the store yet, from its journal.

All of it blocks: run it in a thread.
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

from bot.events import CallEnded, CallEvent
from config.errors import StorageError
from sessions.build import BuiltCall, read_built
from sessions.journal_format import JournalHeader, read_events, read_header
from sessions.record import CallRecord, RecordingRecord, make_record
from sessions.transcript import Transcript, make_transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledCall:
    """A journal as far as it has been written.

    Attributes:
        built: What is ready to be stored; None before it has been built.
    """

    folder: Path
    header: JournalHeader
    events: list[CallEvent]
    built: BuiltCall | None

    @property
    def has_ended(self) -> bool:
        """Whether the end of the call is written, so that nothing more will come."""
        return any(isinstance(event, CallEnded) for event in self.events)

    def record(self) -> CallRecord:
        """The record as it will be, or so far; nothing in it has a place in the store."""
        if self.built is not None:
            return self.built.record
        recording = RecordingRecord(state="empty" if self.header.record_audio else "off")
        return make_record(self.header, self.events, recording)

    def transcript(self) -> Transcript:
        """What was said and heard so far."""
        return make_transcript(self.header.session_id, self.header.started_at, self.events)


def find_spooled(root: Path, session_id: str) -> SpooledCall | None:
    """The journal of a call, live or ended; None where there is none that can be read.

    Args:
        root: Folder of the journals.
        session_id: As it came from outside.
    """
    try:
        if str(UUID(session_id)) != session_id:
            return None
    except ValueError:
        return None
    return read_spooled(root / session_id)


def read_spooled(folder: Path) -> SpooledCall | None:
    """The journal in ``folder``; None where there is none that can be read.

    One that is sealed with a key that is not known here cannot be read either.
    """
    try:
        return SpooledCall(
            folder=folder,
            header=read_header(folder),
            events=read_events(folder),
            built=read_built(folder),
        )
    except (OSError, msgspec.MsgspecError, StorageError):
        return None


def all_spooled(root: Path) -> list[Path]:
    """The folders of all journals, of live calls too."""
    try:
        return sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return []
