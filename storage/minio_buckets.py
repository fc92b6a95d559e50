"""The buckets that objects lie in: made when first written to, and looked at for health."""

import contextlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from minio import Minio, S3Error
from minio.commonconfig import ENABLED, Filter
from minio.error import MinioException
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, LifecycleConfig, Rule

from config.errors import StorageError
from storage.base import StorageKind
from storage.minio_errors import MinioErrors

T = TypeVar("T")


class MinioBuckets:
    """Which bucket is whose, and whether it is there. All calls block.

    Args:
        client: Speaks to the service.
        names: Bucket of each kind of object.
    """

    def __init__(self, client: Minio, names: Mapping[StorageKind, str]) -> None:
        self._client = client
        self._names = names
        self._seen: set[str] = set()

    def of(self, kind: StorageKind) -> str:
        """The bucket of a kind of objects."""
        return self._names[kind]

    def write(self, kind: StorageKind, call: Callable[[], T]) -> T:
        """Run ``call``; make its bucket if that has not been seen yet or has been removed.

        Raises:
            StorageError: ``storage_denied``: there is no bucket, and our key may make none.
        """
        bucket = self.of(kind)
        if bucket in self._seen:
            try:
                return call()
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
        self._make(bucket)
        try:
            result = call()
        except S3Error as error:
            if error.code == "NoSuchBucket":
                raise _no_bucket(bucket) from error
            raise
        self._seen.add(bucket)
        return result

    def probe(self) -> None:
        """Look at every bucket, and make the ones that are not there.

        Raises:
            StorageError: Something would keep objects from being stored.
        """
        for bucket in self._names.values():
            with MinioErrors(f"bucket {bucket}"):
                self._make(bucket)
                # A key that may not look at buckets is shown by this answer, not by the other.
                if not self._client.bucket_exists(bucket):
                    raise _no_bucket(bucket)

    def _make(self, bucket: str) -> None:
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

        S3 keeps (and bills) them for ever without this rule. MinIO knows no such rule, refuses
        it, and removes them by itself a day later (``api stale_uploads_expiry``).
        """
        # A service that has no such rules, or a key that may not set them, stores as well.
        with contextlib.suppress(MinioException, ValueError):
            self._set_rule(bucket)

    def _set_rule(self, bucket: str) -> None:
        rule = Rule(
            ENABLED,
            rule_filter=Filter(prefix=""),
            rule_id="abort-incomplete-uploads",
            abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(
                days_after_initiation=1
            ),
        )
        self._client.set_bucket_lifecycle(bucket, LifecycleConfig([rule]))


def _no_bucket(bucket: str) -> StorageError:
    return StorageError(
        "storage_denied",
        f"there is no bucket {bucket}, and this key may not make it: make it by hand, or allow "
        "the key s3:CreateBucket",
    )
