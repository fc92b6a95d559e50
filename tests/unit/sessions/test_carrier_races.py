"""A carrier's file that comes while its call is erased, or that the store does not keep well."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import StorageError
from sessions.erasure import NumberEraser
from simulators.vobiz import VobizApiSimulator
from storage.base import ObjectInfo, StorageKind
from tests.unit.sessions.test_carrier_recordings import THEIRS, Bench, begins, call, ends
from tests.until import until


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with VobizApiSimulator(api_key="t") as vobiz:
        made = Bench(tmp_path, vobiz)
        yield made
        await made.storage.close()


async def test_what_comes_while_it_is_erased_does_not_stay(bench: Bench) -> None:
    """The file is in the store already, and the record does not name it yet."""
    head = call()
    async with bench.running() as carrier:
        await bench.store(head)
        async with bench.amending:
            begins(carrier, head)
            ends(carrier, head)
            async with asyncio.timeout(20):
                while ".mp3" not in await bench.sounds():  # noqa: ASYNC110 - as in until()
                    await asyncio.sleep(0.005)
            await NumberEraser(bench.storage, bench.data).erase(THEIRS)
        await until(lambda: carrier.stats().waiting == 0)
    assert await bench.sounds() == set() and await bench.state(head) == ("deleted", "")


async def test_what_is_on_its_way_into_the_store_while_it_is_erased_does_not_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, real = call(), bench.storage.put_file
    uploading, go_on = asyncio.Event(), asyncio.Event()

    async def put_file(kind: StorageKind, key: str, path: Path, *rest: Any) -> ObjectInfo:
        if not key.endswith(".mp3"):
            return await real(kind, key, path, *rest)
        data = await asyncio.to_thread(path.read_bytes)  # An upload has it open.
        uploading.set()
        await go_on.wait()
        return await bench.storage.put_bytes(kind, key, data, *rest)

    monkeypatch.setattr(bench.storage, "put_file", put_file)
    async with bench.running() as carrier, asyncio.timeout(20):
        await bench.store(head)
        begins(carrier, head)
        ends(carrier, head)
        await uploading.wait()
        await NumberEraser(bench.storage, bench.data).erase(THEIRS)
        go_on.set()
        await until(lambda: carrier.stats().waiting == 0)
    assert await bench.sounds() == set() and await bench.state(head) == ("deleted", "")


async def test_a_file_that_the_store_gives_back_changed_is_fetched_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, real, asked = call(), bench.storage.sha256, 0

    async def sha256(kind: StorageKind, key: str) -> str:
        nonlocal asked
        asked += key.endswith(".mp3")
        return "0" * 64 if key.endswith(".mp3") and asked == 1 else await real(kind, key)

    monkeypatch.setattr(bench.storage, "sha256", sha256)
    async with bench.running() as carrier:
        begins(carrier, head)
        ends(carrier, head)
        await bench.store(head)
        # Nobody waits before it is asked for either.
        await until(lambda: bench.changes and carrier.stats().waiting == 0)
    assert asked == 2 and await bench.state(head) == ("stored", "")
    assert [state for _, state in bench.changes] == ["stored"], "nothing was told of the first"


async def test_a_file_whose_storing_failed_as_its_call_was_erased_does_not_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the store, and the next try finds that nobody waits for it any more."""
    head, real, failed = call(), bench.storage.put_file, False

    async def put_file(kind: StorageKind, key: str, path: Path, *rest: Any) -> ObjectInfo:
        nonlocal failed
        if not key.endswith(".mp3"):
            return await real(kind, key, path, *rest)
        data = await asyncio.to_thread(path.read_bytes)  # An upload has it open.
        await NumberEraser(bench.storage, bench.data).erase(THEIRS)
        await bench.storage.put_bytes(kind, key, data, *rest)
        failed = True
        raise StorageError("storage_unavailable", "it gave no answer in time")

    async with bench.running() as carrier:
        await bench.store(head)
        monkeypatch.setattr(bench.storage, "put_file", put_file)
        begins(carrier, head)
        ends(carrier, head)
        await until(lambda: failed and carrier.stats().waiting == 0)
    assert await bench.sounds() == set()


async def test_the_slower_of_two_servers_takes_nothing_from_what_the_other_has_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found the call's note, as where a server starts while another still drains."""
    head, real = call(), bench.storage.put_file
    uploading, go_on = asyncio.Event(), asyncio.Event()

    async def put_file(kind: StorageKind, key: str, path: Path, *rest: Any) -> ObjectInfo:
        if not key.endswith(".mp3") or uploading.is_set():
            return await real(kind, key, path, *rest)
        data = await asyncio.to_thread(path.read_bytes)
        uploading.set()
        await go_on.wait()
        return await bench.storage.put_bytes(kind, key, data, *rest)

    monkeypatch.setattr(bench.storage, "put_file", put_file)
    async with bench.running() as slower, asyncio.timeout(20):
        begins(slower, head)
        ends(slower, head)
        await bench.store(head)
        await uploading.wait()
        async with bench.running() as faster:
            await until(lambda: not bench.notes() and faster.stats().waiting == 0)
        go_on.set()
        await until(lambda: slower.stats().waiting == 0)
    told = (await bench.record(head)).carrier_recording
    assert told is not None and told.file is not None and told.state == "stored"
    assert await bench.storage.read("recordings", told.file.key) == bench.vobiz.sound
