"""Keeps objects in MinIO or any S3 service, through the ``minio`` client.

The client blocks, and left alone it waits five minutes and tries six times; here it runs in a
few threads of its own with short time limits, since :mod:`sessions.keeper` retries for ever.
Nothing is connected before first use, so a server starts while MinIO is down.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import SEEK_END, BytesIO
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TypeVar
from xml.etree.ElementTree import ParseError

from minio import Minio, S3Error
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException
from pydantic import SecretStr
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from config.errors import StorageError
from storage.base import (
    BLOCK_BYTES,
    ObjectInfo,
    Storage,
    StorageKind,
    check_key,
    check_metadata,
    check_prefix,
    check_range,
    not_found,
    open_source,
)
from storage.threads import StoreThreads

T = TypeVar("T")

_META = "x-amz-meta-"
_PAGE_OBJECTS = 500
_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"}
_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchObject"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "XMinioStorageFull"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MinioOptions:
    """Where the service is and how long it may take.

    Attributes:
        endpoint: ``host:port``, without a scheme.
        buckets: Bucket of each kind of object.
        connect_seconds: Longest wait for a connection.
        read_seconds: Longest silence of the service.
        call_seconds: Longest whole operation; an upload or download has in addition the time
            that its bytes take at ``least_bytes_per_second``.
        threads: Operations at once.
    """

    endpoint: str
    access_key: SecretStr
    secret_key: SecretStr
    buckets: Mapping[StorageKind, str]
    secure: bool = False
    region: str = "us-east-1"
    connect_seconds: float = 3.0
    read_seconds: float = 15.0
    call_seconds: float = 40.0
    health_seconds: float = 5.0
    least_bytes_per_second: int = 100_000
    threads: int = 4


class MinioStorage(Storage):
    """A store in buckets, which are made when first written to."""

    name = "minio"

    def __init__(self, options: MinioOptions) -> None:
        self._options = options
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

    async def list_objects(self, kind: StorageKind, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        found = self._client.list_objects(
            self._bucket(kind), prefix=check_prefix(prefix), recursive=True
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

        def put() -> None:
            data.seek(0)
            self._client.put_object(
                bucket,
                key,
                data,
                size_bytes,
                content_type,
                metadata=dict(metadata),
                num_parallel_uploads=1,
            )

        with _MinioErrors(f"{kind}/{key}"):
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
        except S3Error as error:
            # Someone else made it, or our key may write to buckets but not look at them:
            # the write itself tells.
            if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists", "AccessDenied"}:
                raise

    def _get(
        self, kind: StorageKind, key: str, start: int, length: int | None
    ) -> BaseHTTPResponse | None:
        with _MinioErrors(f"{kind}/{key}"):
            try:
                return self._client.get_object(
                    self._bucket(kind), key, offset=start, length=length or 0
                )
            except S3Error as error:
                if error.code == "InvalidRange" and start == 0:
                    return None  # S3 has no ranges of empty objects.
                raise

    def _read(self, what: str, response: BaseHTTPResponse) -> bytes:
        with _MinioErrors(what):
            return response.read(BLOCK_BYTES)

    def _stat(self, kind: StorageKind, key: str) -> ObjectInfo:
        with _MinioErrors(f"{kind}/{key}"):
            return self._info(kind, key, self._client.stat_object(self._bucket(kind), key))

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
            with _MinioErrors(f"{kind}/{key}"):
                self._client.remove_object(self._bucket(kind), key)
        except StorageError as error:
            if error.code != "storage_not_found":
                raise

    def _page(self, kind: StorageKind, found: Iterator[Object]) -> list[ObjectInfo]:
        try:
            with _MinioErrors(f"listing {kind}"):
                page = list(islice(found, _PAGE_OBJECTS))
        except StorageError as error:
            if error.code != "storage_not_found":
                raise
            return []
        return [self._info(kind, item.object_name or "", item) for item in page]

    def _probe(self) -> None:
        for bucket in self._options.buckets.values():
            with _MinioErrors(f"bucket {bucket}"):
                self._make_bucket(bucket)
                # A key that may not look at buckets is shown by this answer, not by the other.
                self._client.bucket_exists(bucket)


def _size(path: Path) -> int:
    with open_source(path) as file:
        return file.seek(0, SEEK_END)


class _MinioErrors:
    """Maps every error of the client and its transport, once."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, S3Error):
            raise self._from_s3(error) from error
        if isinstance(error, InvalidResponseError | HTTPError | OSError):
            message = f"{self._what}: no usable answer from MinIO ({type(error).__name__})"
            raise StorageError("storage_unavailable", message) from error
        if isinstance(error, MinioException | ParseError | ValueError):
            message = f"{self._what}: {type(error).__name__}: {error}"
            raise StorageError("storage_failed", message) from error

    def _from_s3(self, error: S3Error) -> StorageError:
        code = error.code or ""
        if code in _MISSING:
            return not_found(self._what)
        if code in _DENIED:
            return StorageError("storage_denied", f"{self._what}: MinIO refused: {code}")
        if code == "InvalidRange":
            return StorageError("storage_invalid", f"{self._what}: no such range")
        name = "storage_unavailable" if code in _BUSY else "storage_failed"
        return StorageError(name, f"{self._what}: MinIO said {code}: {error.message}")
