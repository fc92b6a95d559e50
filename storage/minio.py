"""Keeps objects in MinIO or any S3 service, through the ``minio`` client.

The client blocks, and left alone it waits five minutes and tries six times; here it runs in a
few threads of its own with short time limits, since :mod:`sessions.keeper` retries for ever.
Nothing is connected before first use, so a server starts while MinIO is down.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import SEEK_END, BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

from minio import Minio, S3Error
from minio.commonconfig import ENABLED, Filter
from minio.datatypes import Object
from minio.error import MinioException
from minio.lifecycleconfig import (
    AbortIncompleteMultipartUpload,
    LifecycleConfig,
    Rule,
)
from minio.sse import SseCustomerKey
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout

from config.errors import StorageError
from storage.base import (
    BLOCK_BYTES,
    ObjectInfo,
    Storage,
    StorageKind,
    check_key,
    check_link,
    check_metadata,
    check_prefix,
    check_range,
    open_source,
)
from storage.minio_errors import MinioErrors
from storage.minio_options import MinioOptions
from storage.threads import StoreThreads

T = TypeVar("T")

_META = "x-amz-meta-"
_PAGE_OBJECTS = 500
_MAX_PARTS = 10_000


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
        self._http = PoolManager(
            maxsize=options.threads,
            timeout=Timeout(connect=options.connect_seconds, read=options.read_seconds),
            retries=Retry(
                total=1, redirect=0, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]
            ),
        )
        self._client = Minio(
            options.endpoint,
            access_key=options.access_key.get_secret_value(),
            secret_key=options.secret_key.get_secret_value(),
            secure=options.secure,
            region=options.region,
            http_client=self._http,
        )
        self._links = self._link_client()
        self._made: set[str] = set()
        self._threads = StoreThreads("minio", options.threads)
        # Uploads that hang must not make the health page wait for a free thread.
        self._health_thread = StoreThreads("minio-health", 1)

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
        size = await self._threads.run(self._options.call_seconds, _size, path)
        return await self._threads.run(self._seconds(size), upload, meta)

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
        return await self._threads.run(self._seconds(len(data)), upload, check_metadata(metadata))

    async def open(
        self, kind: StorageKind, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        check_range(start, length)
        check_key(key)
        run, seconds = self._threads.run, self._options.call_seconds
        response = await run(seconds, self._get, kind, key, start, length)
        if response is None:
            return
        try:
            while block := await run(seconds, self._read, f"{kind}/{key}", response):
                yield block
        finally:
            # Closing, not releasing: what is left unread must not be drained or reused.
            response.close()

    async def stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        check_key(key)
        return await self._threads.run(self._options.call_seconds, self._stat, kind, key)

    async def sha256(self, kind: StorageKind, key: str) -> str:
        info = await self.stat(kind, key)
        return await self._threads.run(self._seconds(info.size_bytes), self._digest, kind, key)

    async def delete(self, kind: StorageKind, key: str) -> None:
        check_key(key)
        await self._threads.run(self._options.call_seconds, self._delete, kind, key)

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
            self._bucket(kind),
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
            self._bucket(kind),
            prefix=check_prefix(prefix),
            recursive=True,
            start_after=check_prefix(after) or None,
        )
        seconds = self._options.call_seconds
        while page := await self._threads.run(seconds, self._page, kind, found):
            for info in page:
                yield info

    async def health(self) -> None:
        await self._health_thread.run(self._options.health_seconds, self._probe)

    async def close(self) -> None:
        self._threads.close()
        self._health_thread.close()
        self._http.clear()

    def _link_client(self) -> Minio:
        """Signs links for the address that browsers see: the signature covers the host."""
        public = self._options.public_endpoint
        if public is None:
            return self._client
        parts = urlsplit(public)
        return Minio(
            parts.netloc,
            access_key=self._options.access_key.get_secret_value(),
            secret_key=self._options.secret_key.get_secret_value(),
            secure=parts.scheme == "https",
            region=self._options.region,
            http_client=self._http,
        )

    def _bucket(self, kind: StorageKind) -> str:
        return self._options.buckets[kind]

    def _seconds(self, size_bytes: int) -> float:
        return self._options.call_seconds + size_bytes / self._options.least_bytes_per_second

    def _info(self, kind: StorageKind, key: str, found: Object) -> ObjectInfo:
        headers = {name.lower(): value for name, value in (found.metadata or {}).items()}
        return ObjectInfo(
            kind=kind,
            key=key,
            size_bytes=found.size or 0,
            modified_at=found.last_modified or datetime.now(UTC),
            url=f"minio://{self._bucket(kind)}/{key}",
            content_type=headers.get("content-type", "application/octet-stream"),
            metadata={n[len(_META) :]: v for n, v in headers.items() if n.startswith(_META)},
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
        bucket = self._bucket(kind)
        # The client takes parts away again after a failure, and 10,000 parts at most.
        part_bytes = max(self._options.part_bytes, -(-size_bytes // _MAX_PARTS))

        def put() -> None:
            data.seek(0)
            self._client.put_object(
                bucket,
                key,
                data,
                size_bytes,
                content_type,
                metadata=dict(metadata),
                sse=self._sse,
                part_size=part_bytes,
                num_parallel_uploads=1,
            )

        with MinioErrors(f"{kind}/{key}"):
            self._in_bucket(bucket, put)
        info = self._stat(kind, key)
        if info.size_bytes != size_bytes:
            message = f"{kind}/{key}: {info.size_bytes} of {size_bytes} bytes are there"
            raise StorageError("storage_failed", message)
        return info

    def _in_bucket(self, bucket: str, call: Callable[[], T]) -> T:
        """Run ``call``; make the bucket if it has not been seen yet or has been removed."""
        if bucket in self._made:
            try:
                return call()
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
        self._make_bucket(bucket)
        result = call()
        self._made.add(bucket)
        return result

    def _make_bucket(self, bucket: str) -> None:
        try:
            if not self._client.bucket_exists(bucket):
                self._client.make_bucket(bucket)
                self._forget_broken_uploads(bucket)
        except S3Error as error:
            # Someone else made it, or our key may write to buckets but not look at them:
            # the write itself tells.
            if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists", "AccessDenied"}:
                raise

    def _forget_broken_uploads(self, bucket: str) -> None:
        """Have the parts of uploads removed that a crash left behind, in a bucket of our own.

        MinIO does so by itself after a day; S3 keeps (and bills) them for ever without a rule.
        """
        rule = Rule(
            ENABLED,
            rule_filter=Filter(prefix=""),
            rule_id="abort-incomplete-uploads",
            abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(
                days_after_initiation=1
            ),
        )
        # A service that has no such rules, or a key that may not set them, stores as well.
        with contextlib.suppress(MinioException, ValueError):
            self._client.set_bucket_lifecycle(bucket, LifecycleConfig([rule]))

    def _get(
        self, kind: StorageKind, key: str, start: int, length: int | None
    ) -> BaseHTTPResponse | None:
        with MinioErrors(f"{kind}/{key}"):
            try:
                return self._client.get_object(
                    self._bucket(kind), key, offset=start, length=length or 0, ssec=self._read_key
                )
            except S3Error as error:
                if error.code == "InvalidRange" and start == 0:
                    return None  # S3 has no ranges of empty objects.
                raise

    def _read(self, what: str, response: BaseHTTPResponse) -> bytes:
        with MinioErrors(what):
            return response.read(BLOCK_BYTES)

    def _stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        with MinioErrors(f"{kind}/{key}"):
            found = self._client.stat_object(self._bucket(kind), key, ssec=self._read_key)
            return self._info(kind, key, found)

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
                self._client.remove_object(self._bucket(kind), key)
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

    def _probe(self) -> None:
        for bucket in self._options.buckets.values():
            with MinioErrors(f"bucket {bucket}"):
                self._make_bucket(bucket)
                # A key that may not look at buckets is shown by this answer, not by the other.
                self._client.bucket_exists(bucket)


def _size(path: Path) -> int:
    with open_source(path) as file:
        return file.seek(0, SEEK_END)
