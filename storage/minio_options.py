"""Where an S3 service is, how long it may take, and how it encrypts what it keeps."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from minio.sse import Sse, SseCustomerKey, SseKMS, SseS3
from pydantic import SecretStr

from config.errors import ConfigError
from storage.base import StorageKind

EncryptionKind = Literal["none", "sse-s3", "sse-kms", "sse-c"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """Who encrypts objects where they lie.

    Attributes:
        kind: ``none`` (the bucket's own default holds); ``sse-s3`` (a key of the service's);
            ``sse-kms`` (a key of its key server's); ``sse-c`` (our key, which goes with every
            request and which the service does not keep).
        kms_key_id: For ``sse-kms``.
        customer_key: For ``sse-c``: 32 bytes in base64.
    """

    kind: EncryptionKind = "none"
    kms_key_id: str | None = None
    customer_key: SecretStr | None = None

    def headers(self, secure: bool) -> Sse | None:
        """What the client sends with every upload.

        Raises:
            ConfigError: A key is missing or malformed, or would go over the wire unprotected.
        """
        if self.kind == "sse-s3":
            return SseS3()
        if self.kind == "sse-kms":
            if not self.kms_key_id:
                raise ConfigError("storage encryption sse-kms needs storage.kms_key_id")
            return SseKMS(self.kms_key_id, {})
        if self.kind == "sse-c":
            return self._customer(secure)
        return None

    def _customer(self, secure: bool) -> SseCustomerKey:
        if not secure:
            raise ConfigError(
                "storage encryption sse-c sends its key with every request, so it needs TLS: "
                "set MINIO_SECURE=true, or choose sse-s3 or sse-kms"
            )
        try:
            text = self.customer_key.get_secret_value() if self.customer_key else ""
            return SseCustomerKey(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise ConfigError(
                "storage encryption sse-c needs MINIO_SSE_CUSTOMER_KEY: 32 bytes in base64, "
                "for example from `openssl rand -base64 32`"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class MinioOptions:
    """Where the service is and how long it may take.

    Attributes:
        endpoint: ``host:port``, without a scheme.
        public_endpoint: The address by which browsers reach the same service, such as
            ``https://files.example.in``, for links; None where ``endpoint`` is that too.
        ca_file: Authorities in PEM, the only ones that may vouch for the service; None for the
            system's. Read once, when the store is built.
        buckets: Bucket of each kind of object.
        encryption: Of what is stored from now on.
        part_bytes: What is longer goes up in parts of this size; each takes so much memory
            while it is sent. S3 wants 5 MiB at least.
        connect_seconds: Longest wait for a connection.
        read_seconds: Longest silence of the service.
        call_seconds: Longest whole operation; an upload or download has in addition the time
            that its bytes take at ``least_bytes_per_second``.
        threads: Uploads at once, and as many readings.
    """

    endpoint: str
    access_key: SecretStr
    secret_key: SecretStr
    buckets: Mapping[StorageKind, str]
    secure: bool = False
    ca_file: Path | None = None
    region: str = "us-east-1"
    public_endpoint: str | None = None
    encryption: Encryption = field(default_factory=Encryption)
    part_bytes: int = 8 * 1024 * 1024
    connect_seconds: float = 3.0
    read_seconds: float = 15.0
    call_seconds: float = 40.0
    health_seconds: float = 5.0
    least_bytes_per_second: int = 100_000
    threads: int = 4
