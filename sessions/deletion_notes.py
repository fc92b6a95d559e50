"""Which part of which call is to be deleted on which day, as small objects in the store.

    retention/2026/12/01/<session uuid>.<part>      in the kind ``transcripts``

Written beside the call and named by its day, so that a day's sweep looks at what is due and at
nothing else, however many calls are kept. A note says what held when the call was made; what
an agent's file says later holds for later calls.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import get_args

import msgspec

from sessions.journal_format import Part
from sessions.record import CallRecord

PREFIX = "retention/"
_KEY = re.compile(r"retention/(\d{4})/(\d\d)/(\d\d)/([0-9a-f-]{36})\.([a-z]+)")


class DeletionNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be deleted.

    Attributes:
        record_key: Of the call's record, in the kind ``transcripts``.
    """

    session_id: str
    part: Part
    record_key: str


def deletion_notes(record: CallRecord, record_key: str) -> Iterator[tuple[str, bytes]]:
    """The notes of a call: their keys, and what they hold."""
    for part, day in record.delete_after.items():
        note = DeletionNote(session_id=record.session_id, part=part, record_key=record_key)
        yield note_key(record.session_id, part, day), msgspec.json.encode(note)


def note_key(session_id: str, part: Part, day: str) -> str:
    """Where a note lies; ``day`` is an ISO date."""
    return f"{PREFIX}{day.replace('-', '/')}/{session_id}.{part}"


def due_day(key: str) -> date | None:
    """The day a note is for; None where a key is no note's."""
    found = _KEY.fullmatch(key)
    if found is None or found[5] not in get_args(Part):
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
