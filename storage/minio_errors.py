"""Maps every error of the ``minio`` client and its transport to ours, in one place."""

import ssl
from types import TracebackType
from xml.etree.ElementTree import ParseError

from minio import S3Error
from minio.error import InvalidResponseError, MinioException, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError

from config.errors import StorageError
from storage.base import not_found

_DENIED = {
    "AccessDenied": "this key may not do that; or, with sse-c, the object was stored with another "
    "MINIO_SSE_CUSTOMER_KEY",
    "AllAccessDisabled": "the account is closed",
    "InvalidAccessKeyId": "it knows no such MINIO_ACCESS_KEY",
    "SignatureDoesNotMatch": "MINIO_SECRET_KEY is wrong",
    "RequestTimeTooSkewed": "this machine's clock and its own differ by over 15 minutes",
}
_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchObject"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "XMinioStorageFull"}

#: OpenSSL's numbers for a certificate that is for another name or address, or too old.
_OTHER_NAME = {62, 64}
_EXPIRED = {10}


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
        if isinstance(error, InvalidResponseError | ServerError | HTTPError | OSError):
            raise self._from_transport(error) from error
        if isinstance(error, MinioException | ParseError | ValueError):
            message = f"{self._what}: {type(error).__name__}: {error}"
            raise StorageError("storage_failed", message) from error

    def _from_s3(self, error: S3Error) -> StorageError:
        code = error.code or ""
        if code in _MISSING:
            return not_found(self._what)
        if code in _DENIED:
            message = f"{self._what}: MinIO refused: {code} ({_DENIED[code]})"
            return StorageError("storage_denied", message)
        if code == "InvalidRange":
            return StorageError("storage_invalid", f"{self._what}: no such range")
        if code == "BadRequest" and not error.object_name:
            # All that an answer without a body leaves of "HTTP request to an HTTPS server".
            message = f"{self._what}: MinIO cannot read us; if it speaks TLS: MINIO_SECURE=true"
            return StorageError("storage_failed", message)
        if code in {"BadRequest", "InvalidRequest"} and _about_encryption(error):
            message = f"{self._what}: was stored with another encryption than storage.encryption "
            message += "and MINIO_SSE_CUSTOMER_KEY say now"
            return StorageError("storage_denied", message)
        name = "storage_unavailable" if code in _BUSY else "storage_failed"
        return StorageError(name, f"{self._what}: MinIO said {code}: {error.message}")

    def _from_transport(self, error: BaseException) -> StorageError:
        reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        inner = next((x for x in (reason, *reason.args) if isinstance(x, ssl.SSLError)), None)
        if inner is not None and (wrong := _wrong_with_tls(inner)):
            return StorageError("storage_denied", f"{self._what}: {wrong}")
        if "HTTP request to an HTTPS server" in str(error):
            message = f"{self._what}: MinIO wants TLS: set MINIO_SECURE=true"
            return StorageError("storage_denied", message)
        message = f"{self._what}: no usable answer from MinIO ({type(reason).__name__})"
        return StorageError("storage_unavailable", message)


def _about_encryption(error: S3Error) -> bool:
    # An answer to HEAD has no body, and we send nothing else there that could be wrong.
    text = (error.message or "").lower()
    return error.code == "BadRequest" or "encryption" in text


def _wrong_with_tls(error: ssl.SSLError) -> str | None:
    """What an operator has to mend; None for a line that merely broke."""
    if isinstance(error, ssl.SSLCertVerificationError):
        refused = f"MinIO's certificate is refused: {error.verify_message}"
        if error.verify_code in _OTHER_NAME:
            return f"{refused} It has to name the host in MINIO_ENDPOINT"
        if error.verify_code in _EXPIRED:
            return f"{refused}. Renew it"
        return (
            f"{refused}. If a private authority signed it, set storage.ca_file (MINIO_CA_FILE) "
            "to the PEM file of that authority"
        )
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return "MinIO speaks no TLS there: set MINIO_SECURE=false, or give it a certificate"
    return None
