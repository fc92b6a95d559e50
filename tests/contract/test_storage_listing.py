"""Every store lists what it keeps in order of keys, by pages, and while it changes."""

import asyncio

import pytest

from config.errors import StorageError
from storage.base import Storage


async def test_listing_by_prefix_in_order_of_keys(store: Storage) -> None:
    keys = ["2026/11/20/c", "2026/11/21/a", "2026/11/21/b", "2026/11/21-x", "records/2026/a"]
    for key in reversed(keys):
        await store.put_bytes("transcripts", key, key.encode(), "text/plain")

    async def listed(prefix: str) -> list[str]:
        return [info.key async for info in store.list_objects("transcripts", prefix)]

    assert await listed("") == sorted(keys)
    assert await listed("2026/11/21/") == ["2026/11/21/a", "2026/11/21/b"]
    assert await listed("2026/11/2") == sorted(keys)[:4]
    assert await listed("records/") == ["records/2026/a"]
    assert await listed("nothing/here") == []
    assert [x async for x in store.list_objects("recordings")] == []
    sizes = {i.key: i.size_bytes async for i in store.list_objects("transcripts")}
    assert sizes == {key: len(key) for key in keys}


async def test_listing_by_pages(store: Storage) -> None:
    keys = sorted(f"2026/11/{day:02}/{name}" for day in (1, 2, 3) for name in "abc")
    for key in keys:
        await store.put_bytes("transcripts", key, b"1", "text/plain")
    found: list[str] = []
    while page := await store.page(
        "transcripts", "2026/", after=found[-1] if found else "", limit=4
    ):
        assert len(page) <= 4
        found += [info.key for info in page]
    assert found == keys
    later = await store.page("transcripts", "2026/11/02/", after="2026/11/02/a")
    assert [info.key for info in later] == ["2026/11/02/b", "2026/11/02/c"]
    assert await store.page("transcripts", "2026/", after="2027") == []
    for limit in (0, 1001):
        with pytest.raises(StorageError) as caught:
            await store.page("transcripts", limit=limit)
        assert caught.value.code == "storage_invalid"


@pytest.mark.parametrize("text", ["../", "/etc/", "a//", "a/../b", ".parts/", "a b", "x" * 513])
async def test_prefixes_no_key_begins_with(store: Storage, text: str) -> None:
    for listing in (
        store.list_objects("transcripts", text),
        store.list_objects("transcripts", after=text),
    ):
        with pytest.raises(StorageError) as caught:
            await anext(listing)
        assert caught.value.code == "storage_invalid"


async def test_listing_more_than_a_page_of_s3(store: Storage) -> None:
    keys = [f"2026/11/{n % 28 + 1:02}/{n:04}" for n in range(1020)]
    for some in range(0, len(keys), 60):
        await asyncio.gather(
            *(store.put_bytes("transcripts", k, b"1", "text/plain") for k in keys[some : some + 60])
        )
    keys.sort()
    assert [i.key async for i in store.list_objects("transcripts", "2026/")] == keys
    page = await store.page("transcripts", limit=1000)
    assert [i.key for i in page] == keys[:1000]
    rest = await store.page("transcripts", after=page[-1].key, limit=1000)
    assert [i.key for i in rest] == keys[1000:]


async def test_listing_while_objects_go(store: Storage) -> None:
    keys = [f"day/{n:03}" for n in range(30)]
    for key in keys:
        await store.put_bytes("transcripts", key, b"1", "text/plain")
    seen = []
    async for info in store.list_objects("transcripts", "day/"):
        seen.append(info.key)
        await asyncio.gather(*(store.delete("transcripts", key) for key in keys))
    assert seen == keys[: len(seen)]
    assert [i async for i in store.list_objects("transcripts")] == []
