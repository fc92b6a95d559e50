"""Keeps objects in MinIO or any S3 service, through the ``minio`` client.

The client blocks, and left alone it waits five minutes and tries six times; here it runs in a
few threads of its own with short time limits, since :mod:`sessions.keeper` retries for ever.
Nothing is connected before first use, so a server starts while MinIO is down.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from io import SEEK_END, BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from minio import S3Error
from minio.datatypes import Object
from minio.sse import SseCustomerKey
from urllib3 import BaseHTTPResponse

from config.errors import StorageError
from storage.base import (
    BLOCK_BYTES,
    ObjectInfo,
    Storage,
    StorageKind,
    check_key,
    check_link,
    check_prefix,
    check_range,
    open_source,
)
from storage.metadata import check_metadata, from_header, to_header
from storage.minio_buckets import MinioBuckets
from storage.minio_client import MinioClient, build_link_client
from storage.minio_errors import MinioErrors
from storage.minio_http import build_pool
from storage.minio_options import MinioOptions
from storage.threads import StoreThreads, end_by

_META = "x-amz-meta-"
_PAGE_OBJECTS = 500
_MAX_PARTS = 10_000
#: Longest wait of an upload, or of its proof, for a thread. Where the service hangs it is
#: shorter: those who have the threads are given up at their deadlines. And it is less than what
#: others wait for a record that is being changed (``sessions.record_lock``).
_TURN_SECONDS = 240.0


class MinioStorage(Storage):
    """A store in buckets, which are made when first written to.

    Args:
        options: Where it is, and how it is used.

    Raises:
        ConfigError: The encryption that is asked for cannot be used.
    """

    name = "minio"

    def __init__(self, options: MinioOptions) -> None:
        self._options = options
        self._sse = options.encryption.headers(options.secure)
        #: The key that has to go with every reading too.
        self._read_key = self._sse if isinstance(self._sse, SseCustomerKey) else None
        self._http = build_pool(options)
        self._client = MinioClient(options, self._http)
        self._links = build_link_client(options, self._client, self._http)
        self._buckets = MinioBuckets(self._client, options.buckets)
        #: Why the last upload was refused, until one is taken.
        self._refused: StorageError | None = None
        # Uploads that hang must not make readers wait for a free thread, nor the health page.
        self._filing = StoreThreads("minio-filing", options.threads, turn_seconds=_TURN_SECONDS)
        self._reading = StoreThreads("minio", options.threads)
        self._health = StoreThreads("minio-health", 1)

    async def put_file(
        self,
        kind: StorageKind,
        key: str,
        path: Path,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        def upload(meta: dict[str, str]) -> ObjectInfo:
            with open_source(path) as file:
                return self._put(kind, key, file, size, content_type, meta)

        check_key(key)
        meta = check_metadata(metadata)
        size = await self._filing.run(self._options.call_seconds, _size, path)
        return await self._filing.run(self._seconds(size), upload, meta)

    async def put_bytes(
        self,
        kind: StorageKind,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        def upload(meta: dict[str, str]) -> ObjectInfo:
            return self._put(kind, key, BytesIO(data), len(data), content_type, meta)

        check_key(key)
        return await self._filing.run(self._seconds(len(data)), upload, check_metadata(metadata))

    async def open(
        self, kind: StorageKind, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        check_range(start, length)
        check_key(key)
        seconds, what = self._options.call_seconds, f"{kind}/{key}"
        response: BaseHTTPResponse | None = None

        def read() -> bytes:
            nonlocal response
            if response is None:
                response = self._get(kind, key, start, length)
            return b"" if response is None else self._read(what, response)

        def close() -> None:
            # Closing, not releasing: what is left unread must not be drained or reused.
            if response is not None:
                response.close()

        async with aclosing(self._reading.blocks(seconds, read, close)) as blocks:
            async for block in blocks:
                yield block

    async def stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        check_key(key)
        return await self._reading.run(self._options.call_seconds, self._stat, kind, key)

    async def sha256(self, kind: StorageKind, key: str) -> str:
        # Proof of an upload belongs to it: it takes no thread from readers.
        run = self._filing.run
        info = await run(self._options.call_seconds, self._stat, kind, check_key(key))
        return await run(self._seconds(info.size_bytes), self._digest, kind, key)

    async def delete(self, kind: StorageKind, key: str) -> None:
        check_key(key)
        await self._reading.run(self._options.call_seconds, self._delete, kind, key)

    async def link(
        self,
        kind: StorageKind,
        key: str,
        *,
        seconds: float,
        download_name: str | None = None,
    ) -> str:
        check_link(seconds, download_name)
        check_key(key)
        if self._read_key is not None:
            raise StorageError(
                "storage_not_offered", "what is encrypted with a key of ours opens by no link"
            )
        await self.stat(kind, key)
        # Signing is arithmetic only: the region is known, so nothing is asked.
        return self._links.presigned_get_object(
            self._buckets.of(kind),
            key,
            expires=timedelta(seconds=seconds),
            response_headers=(
                {"response-content-disposition": f'attachment; filename="{download_name}"'}
                if download_name
                else None
            ),
        )

    async def list_objects(
        self, kind: StorageKind, prefix: str = "", *, after: str = ""
    ) -> AsyncIterator[ObjectInfo]:
        found = self._client.list_objects(
            self._buckets.of(kind),
            prefix=check_prefix(prefix),
            recursive=True,
            start_after=check_prefix(after) or None,
        )
        seconds = self._options.call_seconds
        while page := await self._reading.run(seconds, self._page, kind, found):
            for info in page:
                yield info

    async def health(self) -> None:
        await self._health.run(self._options.health_seconds, self._buckets.probe)
        if self._refused is not None:
            raise self._refused

    async def close(self) -> None:
        for threads in (self._filing, self._reading, self._health):
            threads.close()
        self._http.clear()

    def _seconds(self, size_bytes: int) -> float:
        return self._options.call_seconds + size_bytes / self._options.least_bytes_per_second

    def _info(self, kind: StorageKind, key: str, found: Object) -> ObjectInfo:
        headers = {name.lower(): value for name, value in (found.metadata or {}).items()}
        return ObjectInfo(
            kind=kind,
            key=key,
            size_bytes=found.size or 0,
            modified_at=found.last_modified or datetime.now(UTC),
            url=f"minio://{self._buckets.of(kind)}/{key}",
            content_type=headers.get("content-type", "application/octet-stream"),
            metadata={
                name.removeprefix(_META): from_header(value)
                for name, value in headers.items()
                if name.startswith(_META)
            },
        )

    def _put(
        self,
        kind: StorageKind,
        key: str,
        data: BinaryIO,
        size_bytes: int,
        content_type: str,
        metadata: dict[str, str],
    ) -> ObjectInfo:
        # The client takes 10,000 parts at most.
        part_bytes = max(self._options.part_bytes, -(-size_bytes // _MAX_PARTS))
        headers: dict[str, str | list[str] | tuple[str]] = {
            name: to_header(value) for name, value in metadata.items()
        }

        def put() -> str | None:
            data.seek(0)
            written = self._client.put_object(
                self._buckets.of(kind),
                key,
                data,
                size_bytes,
                content_type,
                metadata=dict(headers),
                sse=self._sse,
                part_size=part_bytes,
                num_parallel_uploads=1,
            )
            return written.etag

        try:
            with MinioErrors(f"{kind}/{key}"):
                etag = self._buckets.write(kind, put)
        except StorageError as error:
            if error.code in {"storage_denied", "storage_failed"}:
                self._refused = error
            raise
        self._refused = None
        found = self._find(kind, key)
        info = self._info(kind, key, found)
        # Another tag is another writer's object, which has taken the place of ours since.
        if info.size_bytes != size_bytes and found.etag == etag:
            message = f"{kind}/{key}: {info.size_bytes} of {size_bytes} bytes are there"
            raise StorageError("storage_failed", message)
        self._client.take_back()
        return info

    def _get(
        self, kind: StorageKind, key: str, start: int, length: int | None
    ) -> BaseHTTPResponse | None:
        with MinioErrors(f"{kind}/{key}"):
            try:
                return self._client.get_object(
                    self._buckets.of(kind),
                    key,
                    offset=start,
                    length=length or 0,
                    ssec=self._read_key,
                )
            except S3Error as error:
                if error.code == "InvalidRange" and start == 0:
                    return None  # S3 has no ranges of empty objects.
                raise

    def _read(self, what: str, response: BaseHTTPResponse) -> bytes:
        end_by(response.shutdown)
        with MinioErrors(what):
            return response.read(BLOCK_BYTES)

    def _stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        return self._info(kind, key, self._find(kind, key))

    def _find(self, kind: StorageKind, key: str) -> Object:
        with MinioErrors(f"{kind}/{key}"):
            return self._client.stat_object(self._buckets.of(kind), key, ssec=self._read_key)

    def _digest(self, kind: StorageKind, key: str) -> str:
        digest = hashlib.sha256()
        response = self._get(kind, key, 0, None)
        if response is not None:
            try:
                while block := self._read(f"{kind}/{key}", response):
                    digest.update(block)
            finally:
                response.close()
        return digest.hexdigest()

    def _delete(self, kind: StorageKind, key: str) -> None:
        try:
            with MinioErrors(f"{kind}/{key}"):
                self._client.remove_object(self._buckets.of(kind), key)
        except StorageError as error:
            if error.code != "storage_not_found":
                raise

    def _page(self, kind: StorageKind, found: Iterator[Object]) -> list[ObjectInfo]:
        try:
            with MinioErrors(f"listing {kind}"):
                page = list(islice(found, _PAGE_OBJECTS))
        except StorageError as error:
            if error.code != "storage_not_found":
                raise
            return []
        return [self._info(kind, item.object_name or "", item) for item in page]


def _size(path: Path) -> int:
    with open_source(path) as file:
        return file.seek(0, SEEK_END)
