"""Maps every error of the ``minio`` client and its transport to ours, in one place."""

from types import TracebackType
from xml.etree.ElementTree import ParseError

from minio import S3Error
from minio.error import InvalidResponseError, MinioException
from urllib3.exceptions import HTTPError

from config.errors import StorageError
from storage.base import not_found

_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"}
_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchObject"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "XMinioStorageFull"}


class MinioErrors:
    """Maps what is raised within it; ``what`` names the object in messages."""

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
