"""Starts an S3 service on loopback for tests: the real MinIO where it has been built
(``make minio``), otherwise moto's server. Both are spoken to over HTTP by the real client, MinIO
also over TLS and with a key for encryption of its own."""

import base64
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Literal

from minio import Minio
from minio.error import MinioException
from pydantic import SecretStr
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from storage.minio_options import MinioOptions
from tests.certificates import Served

_INSTALLER = Path(__file__).parent.parent / "scripts" / "install_minio.sh"
_START_SECONDS = 60.0
#: Below those of outgoing connections: from 16,000 on with gVisor, from 32,768 on with Linux.
_PORTS = range(10_000, 16_000)
_given: set[int] = set()

#: Why a test of the real one is skipped.
NO_MINIO = "no MinIO here: `make minio` builds it, and needs Go"
#: The name of the key that every MinIO for tests can encrypt with (``sse-s3`` and ``sse-kms``).
KMS_KEY = "calls-key"

# A server of its own process: moto's imports warn, and its threads would outlive the test.
_MOTO = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
app = DomainDispatcherApplication(create_backend_app)
run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
"""


def find_minio() -> Path | None:
    """The MinIO binary, or None where ``make minio`` has not built one."""
    found = subprocess.run(
        [_INSTALLER, "--find"], capture_output=True, text=True, check=True, timeout=60
    )
    return Path(found.stdout.strip()) if found.stdout.strip() else None


def free_port() -> int:
    """A port that nobody listens on, and that no system gives to whoever takes any.

    Another test, or the client that waits for the server, could be given it before the server
    has taken it, or while it is stopped.
    """
    while True:
        port = secrets.choice(_PORTS)
        if port in _given:
            continue
        with suppress(OSError), create_server(("127.0.0.1", port)):
            _given.add(port)
            return port


@dataclass
class S3Server:
    """One S3 service that can be stopped and started again on the same port and data.

    Attributes:
        service: ``minio``, ``moto``, or None for the best there is.
        environment: More variables for the process.
        tls: With what MinIO speaks TLS; None for plain HTTP.
        real: True for MinIO, False for moto (which forgets its objects when stopped).
    """

    folder: Path
    port: int = field(default_factory=free_port)
    access_key: str = field(default_factory=lambda: "test" + secrets.token_hex(8))
    secret_key: str = field(default_factory=lambda: secrets.token_hex(20))
    service: Literal["minio", "moto"] | None = None
    tls: Served | None = None
    real: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    kms_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run the service and wait until it answers."""
        binary = None if self.service == "moto" else find_minio()
        if binary is None and (self.service == "minio" or self.tls):
            raise RuntimeError(NO_MINIO)
        self.real = binary is not None
        self._process = subprocess.Popen(
            self._command(binary),
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "MINIO_ROOT_USER": self.access_key,
                "MINIO_ROOT_PASSWORD": self.secret_key,
                "MINIO_KMS_SECRET_KEY": f"{KMS_KEY}:{self.kms_key}",
                "MINIO_BROWSER": "off",
                "MINIO_UPDATE": "off",
                **self.environment,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def stop(self) -> None:
        """End the service at once; does nothing where it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def options(self, **changes: object) -> MinioOptions:
        """Options that reach the service, with short deadlines."""
        values: dict[str, object] = {
            "endpoint": f"127.0.0.1:{self.port}",
            "access_key": SecretStr(self.access_key),
            "secret_key": SecretStr(self.secret_key),
            "buckets": {"recordings": "recordings", "transcripts": "transcripts"},
            "secure": self.tls is not None,
            "ca_file": self.tls.ca_file if self.tls else None,
            **changes,
        }
        return MinioOptions(**values)  # type: ignore[arg-type]

    def _command(self, binary: Path | None) -> list[str]:
        if binary is None:
            return [sys.executable, "-c", _MOTO, str(self.port)]
        address = f"127.0.0.1:{self.port}"
        certificates = self.tls.certificate.parent if self.tls else self.folder / "no-certificates"
        return [
            *(str(binary), "server", "--quiet", "--address", address),
            *("--certs-dir", str(certificates), str(self.folder / "data")),
        ]

    def client(self) -> Minio:
        """A client of its own, for what the store itself does not do."""
        trusted = str(self.tls.ca_file) if self.tls else None
        return Minio(
            f"127.0.0.1:{self.port}",
            self.access_key,
            self.secret_key,
            secure=self.tls is not None,
            http_client=PoolManager(retries=False, timeout=5.0, ca_certs=trusted),
        )

    def _wait(self) -> None:
        # Its health page answers before its objects do, so ask for what the tests will ask for.
        client = self.client()
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            # Another name each time: on a busy machine a bucket is made after we have given up.
            probe = f"probe-{secrets.token_hex(4)}"
            try:
                client.make_bucket(probe)
                client.remove_bucket(probe)
                return
            except (MinioException, HTTPError):
                assert self._process is not None
                if self._process.poll() is not None:
                    raise RuntimeError("the S3 service ended at once") from None
            time.sleep(0.05)
        raise RuntimeError("the S3 service did not start")


@contextmanager
def s3_server(
    service: Literal["minio", "moto"] | None = None,
    tls: Served | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[S3Server]:
    """A running service with keys and a folder of its own.

    Raises:
        RuntimeError: ``minio`` is asked for, or TLS, and has not been built.
    """
    with tempfile.TemporaryDirectory(prefix="s3-") as folder:
        server = S3Server(
            folder=Path(folder), service=service, tls=tls, environment=environment or {}
        )
        try:
            server.start()
            yield server
        finally:
            server.stop()
