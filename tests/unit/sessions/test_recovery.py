"""What ``main.py recover`` finishes, and whom it tells."""

import time
from pathlib import Path
from typing import Any

import pytest

from config.settings import load_settings
from sessions.answered import AnsweredCalls
from sessions.build import BuiltCall, build_call
from sessions.recovery import recover_calls
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import write_call


async def test_a_journal_that_nobody_foresaw_stops_no_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = tmp_path / "data" / "journal"
    bad, good = await write_call(journals), await write_call(journals, cause="caller_hangup")

    def fails(folder: Path, *rest: Any) -> BuiltCall:
        if folder == bad:
            raise RuntimeError("on purpose")
        return build_call(folder, *rest)

    monkeypatch.setattr("sessions.keeper.build_call", fails)
    settings = load_settings(env={"DATA_DIR": str(tmp_path / "data")})
    found = await recover_calls(settings)
    assert [call.record.session_id for call in found.stored] == [good.name]
    assert found.failed == {bad.name: "RuntimeError: on purpose"}
    assert bad.exists()


async def test_a_call_that_was_answered_and_lost_has_its_record(tmp_path: Path) -> None:
    """One whose stream may still come is left to the server that starts next."""
    data = tmp_path / "data"
    lost, recent = header(), header(started_at=time.time())
    answered = AnsweredCalls(data / "answered", data / "journal")
    for each in (lost, recent):
        await answered.kept(each)
    await answered.close()
    settings = load_settings(env={"DATA_DIR": str(data)})
    found = await recover_calls(settings)
    (stored,) = found.stored
    assert found.ringing == [recent.session_id]
    assert (stored.record.session_id, stored.record.end_cause) == (lost.session_id, "crash")
    assert [path.stem for path in (data / "answered").glob("*/*.json")] == [recent.session_id]
    assert (await recover_calls(settings)).stored == []


async def test_a_server_beside_a_recovery_is_to_look_what_became_of_its_calls(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    settings = load_settings(env={"DATA_DIR": str(data)})
    data.mkdir()
    note = data / "index_outdated"
    assert (await recover_calls(settings)).stored == [] and not note.exists()
    waiting = await write_call(data / "journal")
    (stored,) = (await recover_calls(settings)).stored
    assert stored.record.session_id == waiting.name and note.exists()
