"""Erasing a number of whose calls one was being stored when the store or the server failed."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import StorageError
from sessions.erasure import NumberEraser
from sessions.keeper import RecordKeeper
from storage.base import ObjectInfo, StorageKind
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import FAST, write_call

THEIRS, OTHERS = "+919800000011", "+919800000012"


class Store(FilesystemStorage):
    """One that takes no record, and later deletes nothing, as the test wants."""

    takes_records = False
    deletes = True

    async def put_bytes(self, kind: StorageKind, key: str, *rest: Any) -> ObjectInfo:
        if key.startswith("records/") and not self.takes_records:
            raise StorageError("storage_unavailable", "no record now")
        return await super().put_bytes(kind, key, *rest)

    async def delete(self, kind: StorageKind, key: str) -> None:
        if not self.deletes:
            raise StorageError("storage_denied", "nothing is deleted now")
        await super().delete(kind, key)

    async def of_calls(self) -> set[str]:
        kinds: tuple[StorageKind, ...] = ("recordings", "transcripts")
        return {info.key for kind in kinds for info in await self.page(kind, "20")}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "storage")
    yield made
    await made.close()


async def broken_off(data: Path, store: Store, number: str = THEIRS) -> str:
    """A call of which all but the record is in the store, while its journal waits."""
    folder = await write_call(data / "journal", header(from_number=number), "silence")
    keeper = RecordKeeper(store, data / "journal", options=FAST)
    with pytest.raises(StorageError, match="no record now"):
        await keeper.finish(folder)
    await keeper.close()
    return folder.name


async def test_what_a_try_had_stored_goes_with_the_journal(store: Store, tmp_path: Path) -> None:
    theirs = await broken_off(tmp_path, store)
    others = await broken_off(tmp_path, store, OTHERS)
    before = await store.of_calls()
    proof, _ = await NumberEraser(store, tmp_path).erase(THEIRS)
    (erased,) = proof.journals
    assert proof.complete and erased.session_id == theirs
    gone = {file.key for file in erased.stored}
    assert len(gone) == 4 and gone == {key for key in before if theirs in key}
    assert await store.of_calls() == before - gone
    assert [path.name for path in (tmp_path / "journal").iterdir()] == [others]


async def test_where_the_store_lets_nothing_go_the_journal_stays_to_be_erased_again(
    store: Store, tmp_path: Path
) -> None:
    theirs = await broken_off(tmp_path, store)
    store.deletes = False
    proof, _ = await NumberEraser(store, tmp_path).erase(THEIRS)
    (left,) = proof.pending
    assert (left.what, left.reason) == (f"journal/{theirs}", "nothing is deleted now")
    assert not proof.complete and (tmp_path / "journal" / theirs).exists()
    store.deletes = True
    proof, _ = await NumberEraser(store, tmp_path).erase(THEIRS)
    assert proof.complete and await store.of_calls() == set()


async def test_a_call_whose_journal_had_only_to_be_removed_goes_whole(
    store: Store, tmp_path: Path
) -> None:
    """The server died between the record and the journal's end."""
    theirs = await broken_off(tmp_path, store)
    store.takes_records = True
    keeper = RecordKeeper(store, tmp_path / "aside", options=FAST)
    journal = tmp_path / "journal" / theirs
    copy = tmp_path / "aside" / theirs
    copy.parent.mkdir()
    shutil.copytree(journal, copy)
    await keeper.finish(copy)
    await keeper.close()
    proof, _ = await NumberEraser(store, tmp_path).erase(THEIRS)
    assert proof.complete and [call.session_id for call in proof.calls] == [theirs]
    assert await store.of_calls() == set()
