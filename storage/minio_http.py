"""The way to an S3 service: connections that can be ended, time limits, and whom we trust."""

import socket
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from urllib3 import (
    BaseHTTPResponse,
    HTTPConnectionPool,
    HTTPSConnectionPool,
    PoolManager,
    Retry,
    Timeout,
)
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from config.errors import ConfigError
from storage.minio_options import MinioOptions
from storage.threads import end_by

#: How much is handed to the socket at a time; the limit for silence holds for each such piece.
_PIECE_BYTES = 64 * 1024


class _Endable(HTTPConnection):
    """A connection that another thread can end, and that may take its time to send."""

    #: Longest silence of the service while we send, in seconds.
    silence_seconds: float
    _wire: socket.socket | None = None

    def connect(self) -> None:
        super().connect()
        self._wire = self.sock
        end_by(self._end)

    def request(self, *args: Any, **kwargs: Any) -> None:
        end_by(self._end)
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        # urllib3 leaves the limit for connecting on the socket while a request is sent, and
        # Python takes it for the whole of what it is handed: 8 MiB would have to go in 3 s.
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.silence_seconds)
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            super().send(view[start : start + _PIECE_BYTES])

    def _end(self) -> None:
        # Not ``sock``: that is forgotten while an answer that ends the connection is read. And
        # not its own ``shutdown``: TLS would go on in the clear for a reader in another thread.
        if self._wire is not None:
            socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


class _EndableTls(_Endable, HTTPSConnection):
    pass


class _OnceMore(Retry):
    """One more try for a connection that the service had closed, or for its 50x.

    None after silence: the deadline would be twice as long, and the spool tries again anyway.
    """

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        # While sending, silence is Python's own error, wrapped in one of urllib3's.
        for reason in (error, *(error.args if error else ())):
            if error is not None and isinstance(reason, HttpTimeoutError | TimeoutError):
                raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


def build_pool(options: MinioOptions) -> PoolManager:
    """Connections for the ``minio`` client, in place of its own: that waits for five minutes.

    Raises:
        ConfigError: The file of trusted authorities cannot be used.
    """

    class Plain(_Endable):
        silence_seconds = options.read_seconds

    class Tls(_EndableTls):
        silence_seconds = options.read_seconds

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    pool = PoolManager(
        maxsize=2 * options.threads + 1,
        timeout=Timeout(connect=options.connect_seconds, read=options.read_seconds),
        retries=_OnceMore(
            total=1,
            redirect=0,
            backoff_factor=0.2,
            status_forcelist=[500, 502, 503, 504],
            raise_on_status=False,
        ),
        ssl_context=_trust(options.ca_file) if options.secure else None,
    )
    pool.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
    return pool


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Whom we believe that they are the service: the system's authorities, or only these.

    Raises:
        ConfigError: The file is not there, cannot be read, or holds no certificate.
    """
    try:
        if ca_file is not None:
            with ca_file.open("rb"):
                pass  # The error of the next line names neither file nor reason.
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        wrong = f"holds no certificates in PEM ({error.reason or 'no reason given'})"
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
    raise ConfigError(
        f"storage.ca_file (MINIO_CA_FILE): {ca_file} {wrong}. It has to be the PEM file of the "
        "authority that signed MinIO's certificate, readable by the user of this server"
    )
