"""WebSockets to vendors, for services that stand on Pipecat's: bounded, and failing aloud.

Whoever holds a service throws it away when it fails. It must therefore say at once that its
connection is gone, and why, and must not quietly make another.
"""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from config.errors import ConfigError

#: Longest wait for a connection, handshake included.
CONNECT_SECONDS: Final = 3.0
#: A peer that answers no ping for so long is gone.
PING_SECONDS: Final = 10.0
#: Read once: 20 to 40 ms. This module is imported in a thread, before any call.
CERTIFICATES: Final = ssl.create_default_context()


def connect_options(url: str) -> dict[str, Any]:
    """Keyword arguments of ``websockets.connect`` for a vendor."""
    options: dict[str, Any] = {
        "open_timeout": CONNECT_SECONDS,
        "ping_interval": PING_SECONDS,
        "ping_timeout": PING_SECONDS,
        "compression": None,
    }
    return {**options, "ssl": CERTIFICATES} if url.startswith("wss:") else options


def category_of(error: BaseException) -> ErrorCategory | None:
    """Pipecat's word for what went wrong with a WebSocket; None where Pipecat knows itself."""
    if isinstance(error, ConnectionClosed):
        return ErrorCategory.CONNECTIVITY if error.rcvd is None else ErrorCategory.SERVER
    if isinstance(error, InvalidStatus):
        return None
    if isinstance(error, (InvalidHandshake, InvalidMessage, OSError, TimeoutError)):
        return ErrorCategory.CONNECTIVITY
    return None


def socket_root(setting: str, base_url: str | None, *ends: str) -> str:
    """A vendor's root for WebSockets, from what people write.

    Args:
        setting: What to call it in the error.
        base_url: An HTTP or WebSocket address.
        ends: Taken off the end of its path one after the other.

    >>> socket_root("stt.acme.base_url", "https://h/v1/listen/", "/listen", "/v1")
    'wss://h'

    Raises:
        ConfigError: It is no address.
    """
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(f"{setting} must begin with https:// or wss://: {base_url}")
    path = parts.path.rstrip("/")
    for end in ends:
        path = path.removesuffix(end)
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    return urlunsplit((scheme, parts.netloc, path, "", ""))


class FailsAloud:
    """To be put before one of Pipecat's WebSocket services among a class's bases.

    Pipecat's own have no limit on connecting but websockets' ten seconds, read the machine's
    certificates for every connection, and give a closed connection no category.
    """

    _receive_task: Any = None

    async def _connect(self) -> None:
        """A receive loop that has ended with its connection is none: begin another."""
        if self._receive_task is not None and self._receive_task.done():
            self._receive_task = None
        await super()._connect()  # type: ignore[misc]

    async def _websocket_connect(self, uri: str, **arguments: Any) -> Any:
        return await super()._websocket_connect(  # type: ignore[misc]
            uri, **{**connect_options(uri), **arguments}
        )

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        known: ErrorCategory | None = super()._classify_error(exception)  # type: ignore[misc]
        return known or category_of(exception)

    async def _report_error(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """The receive loop has ended; without an exception, the vendor hung up in due form."""
        if error.exception is None and error.category is None:
            error.category = ErrorCategory.CONNECTIVITY
        await super()._report_error(  # type: ignore[misc]
            error, force_treat_as_permanent=force_treat_as_permanent
        )
