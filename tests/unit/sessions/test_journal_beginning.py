"""A journal whose folder could not be made at once: the second try leaves nothing of the first."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sessions import journal_file
from sessions.journal_file import JournalFile
from sessions.journal_format import EVENTS_NAME, NEW_PREFIX, header_line
from sessions.journal_seal import SEAL_NAME, JournalKey
from tests.unit.sessions.journals import header


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_second_try_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_sealed: bool
) -> None:
    head = header()
    key = JournalKey(os.urandom(32), "test") if is_sealed else None
    file = JournalFile(tmp_path / head.session_id, head, key)

    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as failing:  # When all but its name is on the disk.
        failing.setattr(journal_file, "write_state", no_room)
        file.flush()
    assert (file.made, file.error) == (False, os.strerror(errno.ENOSPC))
    seal = file.folder.with_name(NEW_PREFIX + head.session_id) / SEAL_NAME
    first = seal.read_bytes() if is_sealed else b""
    file.flush(last=True)
    assert file.made and file.error is None
    file.close()
    # The header's copy stands there once; sealed, it is longer by a length and a tag.
    copy_bytes = len(header_line(head)) + (20 if is_sealed else 0)
    assert (file.folder / EVENTS_NAME).stat().st_size == copy_bytes
    if is_sealed:
        # Two chunks of one key and one number would give each other away.
        assert (file.folder / SEAL_NAME).read_bytes() != first
