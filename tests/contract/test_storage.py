"""Every store keeps the same promises; MinIO is the real one where ``make minio`` built it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import urllib3

from config.errors import StorageError
from storage.base import BLOCK_BYTES, MAX_LINK_SECONDS, Storage
from storage.filesystem import FilesystemStorage
from storage.minio import MinioStorage
from tests.minio import S3Server, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["filesystem", "minio"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    made: Storage
    if request.param == "filesystem":
        made = FilesystemStorage(tmp_path / "store")
    else:
        server: S3Server = request.getfixturevalue("s3")
        buckets = {kind: f"{kind}-{uuid4().hex[:12]}" for kind in ("recordings", "transcripts")}
        made = MinioStorage(server.options(buckets=buckets))
    yield made
    await made.close()


async def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(StorageError) as caught:
        result = call()
        if hasattr(result, "__aiter__"):
            async for _ in result:
                pass
        else:
            await result  # type: ignore[misc]
    return caught.value.code


async def test_bytes_come_back_with_type_and_metadata(store: Storage) -> None:
    before = datetime.now(UTC)
    put = await store.put_bytes(
        "transcripts", "2026/11/21/a.json", b'{"a":1}', "application/json", {"agent-id": "help"}
    )
    found = await store.stat("transcripts", "2026/11/21/a.json")
    assert found == put
    assert (found.size_bytes, found.content_type) == (7, "application/json")
    assert found.metadata == {"agent-id": "help"}
    assert abs(found.modified_at - before) < timedelta(minutes=1)
    assert await store.read("transcripts", "2026/11/21/a.json") == b'{"a":1}'


async def test_a_long_file_goes_up_and_down_in_blocks(store: Storage, tmp_path: Path) -> None:
    # Over 5 MiB is a multipart upload for S3.
    data = hashlib.shake_256(b"call").digest(12 * 1024 * 1024 + 17)
    source = tmp_path / "call.wav"
    source.write_bytes(data)
    info = await store.put_file("recordings", "2026/11/21/call.wav", source, "audio/wav")
    assert info.size_bytes == len(data)
    assert await store.sha256("recordings", info.key) == hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    async for block in store.open("recordings", info.key):
        assert 0 < len(block) <= BLOCK_BYTES
        digest.update(block)
    assert digest.digest() == hashlib.sha256(data).digest()
    assert source.exists()


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 4, b"0123"),
        (4, None, b"456789"),
        (4, 3, b"456"),
        (8, 100, b"89"),
        (9, 1, b"9"),
    ],
)
async def test_ranges(store: Storage, start: int, length: int | None, expected: bytes) -> None:
    await store.put_bytes("recordings", "r.bin", b"0123456789", "application/octet-stream")
    assert await store.read("recordings", "r.bin", start=start, length=length) == expected


@pytest.mark.parametrize(("start", "length"), [(10, None), (11, 2), (-1, None), (0, 0), (0, -5)])
async def test_ranges_that_mean_nothing(store: Storage, start: int, length: int | None) -> None:
    await store.put_bytes("recordings", "r.bin", b"0123456789", "application/octet-stream")
    opened = lambda: store.open("recordings", "r.bin", start=start, length=length)  # noqa: E731
    assert await code_of(opened) == "storage_invalid"


async def test_an_empty_object(store: Storage) -> None:
    await store.put_bytes("recordings", "empty", b"", "text/plain")
    assert await store.read("recordings", "empty") == b""
    assert await store.read("recordings", "empty", length=10) == b""
    assert (await store.stat("recordings", "empty")).size_bytes == 0
    assert await store.sha256("recordings", "empty") == hashlib.sha256(b"").hexdigest()


async def test_reading_may_stop_halfway(store: Storage) -> None:
    await store.put_bytes("recordings", "half", bytes(3 * BLOCK_BYTES), "audio/wav")
    async with aclosing(store.open("recordings", "half")) as blocks:  # type: ignore[type-var]
        assert len(await anext(blocks)) == BLOCK_BYTES
    assert len(await store.read("recordings", "half")) == 3 * BLOCK_BYTES


async def test_what_is_not_there(store: Storage) -> None:
    for _ in range(2):
        assert await code_of(lambda: store.stat("recordings", "no")) == "storage_not_found"
        assert await code_of(lambda: store.sha256("recordings", "no")) == "storage_not_found"
        assert await code_of(lambda: store.open("recordings", "no")) == "storage_not_found"
        await store.delete("recordings", "no")
        assert [x async for x in store.list_objects("recordings")] == []
        await store.put_bytes("recordings", "other/yes", b"1", "text/plain")
        await store.delete("recordings", "other/yes")


async def test_writing_again_replaces_everything(store: Storage) -> None:
    await store.put_bytes("transcripts", "t", b"long text", "text/plain", {"version": "1"})
    await store.put_bytes("transcripts", "t", b"short", "application/json")
    info = await store.stat("transcripts", "t")
    assert (info.size_bytes, info.content_type, info.metadata) == (5, "application/json", {})
    assert await store.read("transcripts", "t") == b"short"


async def test_deleting(store: Storage) -> None:
    await store.put_bytes("recordings", "d", b"x", "text/plain")
    await store.delete("recordings", "d")
    assert await code_of(lambda: store.stat("recordings", "d")) == "storage_not_found"


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
        assert await code_of(lambda limit=limit: store.page("transcripts", limit=limit)) == (  # type: ignore[misc]
            "storage_invalid"
        )


async def test_a_link_opens_one_object_or_is_not_offered(store: Storage) -> None:
    await store.put_bytes("recordings", "2026/a.wav", b"RIFF....", "audio/wav")
    if store.name == "filesystem":
        link = lambda: store.link("recordings", "2026/a.wav", seconds=60)  # noqa: E731
        assert await code_of(link) == "storage_not_offered"
        return
    url = await store.link("recordings", "2026/a.wav", seconds=60, download_name="call-1.wav")
    answer = await asyncio.to_thread(urllib3.request, "GET", url)
    assert (answer.status, answer.data) == (200, b"RIFF....")
    assert answer.headers["content-disposition"] == 'attachment; filename="call-1.wav"'
    assert answer.headers["content-type"] == "audio/wav"
    for seconds in (0, MAX_LINK_SECONDS + 1):
        late = lambda s=seconds: store.link("recordings", "2026/a.wav", seconds=s)  # noqa: E731
        assert await code_of(late) == "storage_invalid"
    assert await code_of(lambda: store.link("recordings", "no", seconds=60)) == "storage_not_found"
    for name in ("a\r\nb", 'a"b', "../a", "x" * 200, ""):
        named = lambda n=name: store.link(  # noqa: E731
            "recordings", "2026/a.wav", seconds=60, download_name=n
        )
        assert await code_of(named) == "storage_invalid"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a/..",
        "a//b",
        "a/",
        "./a",
        ".hidden",
        "a/.part-1",
        "a\\b",
        "a\0b",
        "a\nb",
        "ключ",
        "a b",
        "%2e%2e/up",
        "x" * 513,
    ],
)
async def test_keys_no_store_takes(store: Storage, key: str, tmp_path: Path) -> None:
    put = lambda: store.put_bytes("recordings", key, b"x", "text/plain")  # noqa: E731
    assert await code_of(put) == "storage_invalid"
    put_file = lambda: store.put_file("recordings", key, Path(__file__), "a/b")  # noqa: E731
    assert await code_of(put_file) == "storage_invalid"
    for call in (store.stat, store.sha256, store.delete, store.open):
        assert await code_of(lambda call=call: call("recordings", key)) == "storage_invalid"  # type: ignore[misc]
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize(
    "metadata",
    [{"Upper": "x"}, {"a b": "x"}, {"a": ""}, {"a": "line\r\nx: y"}, {"a": "हिन्दी"}, {"a": " x"}],
)
async def test_metadata_no_store_takes(store: Storage, metadata: dict[str, str]) -> None:
    put = lambda: store.put_bytes("recordings", "k", b"x", "text/plain", metadata)  # noqa: E731
    assert await code_of(put) == "storage_invalid"


async def test_a_source_that_is_not_there(store: Storage, tmp_path: Path) -> None:
    put = lambda: store.put_file("recordings", "k", tmp_path / "gone", "a/b")  # noqa: E731
    assert await code_of(put) == "storage_invalid"
    assert await code_of(lambda: store.stat("recordings", "k")) == "storage_not_found"


async def test_a_healthy_store_says_so(store: Storage) -> None:
    await store.health()
    await store.health()
    assert [x async for x in store.list_objects("recordings")] == []
