"""WebSockets to vendors, for services that stand on Pipecat's: bounded, and failing aloud.

Pipecat 1.14 leaves the cause of a lost connection unknown, reads certificates for each
connection, goes on after what it cannot read, and forgets to listen on a connection that it
opened anew. The mixins here put that right for every vendor at once: whoever holds a service
throws it away when it fails, and must be told at once that its connection is gone, and why.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, ClassVar, Final

from pipecat.frames.frames import ErrorFrame, Frame, TTSStoppedFrame
from pipecat.services.websocket_service import ReportErrorCallback, WebsocketService
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from config.errors import ProviderError, ProviderStage
from services.failures import Failures

#: Longest wait for a connection, handshake included.
CONNECT_SECONDS: Final = 3.0
#: A peer that answers no ping for so long is gone.
PING_SECONDS: Final = 10.0
#: Read once: 20 to 40 ms. This module is imported in a thread, before any call.
CERTIFICATES: Final = ssl.create_default_context()
_CATEGORIES: Final = {
    "auth": ErrorCategory.AUTHENTICATION,
    "forbidden": ErrorCategory.AUTHORIZATION,
    "refused": ErrorCategory.INVALID_REQUEST,
    "busy": ErrorCategory.RATE_LIMIT,
    "quota": ErrorCategory.QUOTA,
    "dropped": ErrorCategory.CONNECTIVITY,
    "timeout": ErrorCategory.CONNECTIVITY,
}


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
    if isinstance(error, ProviderError):
        kind = error.code.removeprefix(f"{error.stage}_")
        return _CATEGORIES.get(kind, ErrorCategory.SERVER)
    if isinstance(error, InvalidStatus):
        return None
    if isinstance(error, ConnectionClosed):
        # Torn, or hung up in due form; anything else the server says of itself.
        is_servers = error.rcvd is not None and error.rcvd.code not in (1000, 1001)
        return ErrorCategory.SERVER if is_servers else ErrorCategory.CONNECTIVITY
    if isinstance(error, WebSocketException | OSError):
        return ErrorCategory.CONNECTIVITY
    is_garbage = isinstance(error, ValueError | KeyError | TypeError | AttributeError)
    return ErrorCategory.SERVER if is_garbage else None


class SocketFailures(WebsocketService):
    """Mixin, to stand before one of Pipecat's own services.

    The first thing that goes wrong ends the listening and is reported once, with a category.
    Pass ``reconnect_on_error=False``: whoever is told of a failure decides what serves next.

    Attributes:
        failures: Makes the vendor's errors.
        binary_is_audio: Whether the server's binary messages are sound, and no messages to read.
    """

    failures: ClassVar[Failures]
    binary_is_audio: ClassVar[bool] = False
    _receive_task: Any = None

    def check(self, message: dict[str, Any]) -> None:
        """Look at a message of the server's before Pipecat does.

        Raises:
            ProviderError: It tells of an error.
        """

    def wanted(self, message: dict[str, Any]) -> bool:
        """Whether Pipecat is to see a message."""
        return True

    async def handled(self) -> None:
        """Do what is to be done when Pipecat is through with a message."""

    def checked(self, text: str | bytes) -> dict[str, Any]:
        """Have one message looked at.

        Returns:
            The message.

        Raises:
            ProviderError: It tells of an error, or is none of the protocol's messages.
        """
        try:
            message = json.loads(text)
        except ValueError as error:
            raise self._failure("failed", "what came is no JSON") from error
        if not isinstance(message, dict):
            raise self._failure("failed", "what came is no message")
        self.check(message)
        return message

    async def _connect(self) -> None:
        """A receive loop that has ended with its connection is none: begin another."""
        if self._receive_task is not None and self._receive_task.done():
            self._receive_task = None
        await super()._connect()  # type: ignore[no-untyped-call]

    async def _websocket_connect(self, uri: str, **arguments: Any) -> Any:
        return await super()._websocket_connect(uri, **{**connect_options(uri), **arguments})

    def _get_websocket(self) -> "CheckedSocket":
        if self._websocket is None:
            raise self._failure("dropped", "there is no connection")
        return CheckedSocket(self._websocket, self)

    async def _receive_task_handler(self, report_error: ReportErrorCallback) -> None:
        # A connection that could not be opened has been reported.
        if self._websocket is not None:
            await super()._receive_task_handler(report_error)

    async def _report_error(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        if error.category is None and error.exception is None:
            error.category = ErrorCategory.CONNECTIVITY
        await super()._report_error(error, force_treat_as_permanent)  # type: ignore[misc]

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return category_of(exception)

    def _failure(self, kind: str, message: str) -> ProviderError:
        stage: ProviderStage = "stt" if hasattr(self, "run_stt") else "tts"
        permanent = kind in ("auth", "forbidden", "refused")
        return self.failures.failure(stage, kind, message, retryable=not permanent)


class SpeakingSocketFailures(SocketFailures):
    """The same for text-to-speech: the next text after a failure has a connection of its own.

    Pipecat opens one where the old is closed, but leaves nobody listening on it.
    """

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Have a sentence spoken; audio comes from another task."""
        if not self._is_listening():
            await self._connect_again()
            if self._websocket is None:
                yield TTSStoppedFrame(context_id=context_id)
                return
        async for frame in super().run_tts(text, context_id):  # type: ignore[misc]
            yield frame

    def _is_listening(self) -> bool:
        is_open = self._websocket is not None and self._websocket.state is State.OPEN
        return is_open and self._receive_task is not None and not self._receive_task.done()

    async def _connect_again(self) -> None:
        """Open a connection; Pipecat's way would end the turn that it is for."""
        self._receive_task = None
        if self._websocket is not None:
            await self._disconnect_websocket()  # type: ignore[no-untyped-call]
        await self._connect()


class CheckedSocket:
    """A socket whose messages are looked at before they are handed on.

    Args:
        socket: Of the ``websockets`` package.
        service: That looks.
    """

    def __init__(self, socket: Any, service: SocketFailures) -> None:
        self._socket = socket
        self._service = service

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        async for message in self._socket:
            # Messages that wait are given without a pause: a flood would stop all calls.
            await asyncio.sleep(0)
            if isinstance(message, bytes) and self._service.binary_is_audio:
                yield message
            elif self._service.wanted(self._service.checked(message)):
                yield message
                await self._service.handled()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def kind_of_status(status: object) -> str:
    """The kind of failure that an HTTP status within a message stands for."""
    known = {400: "refused", 401: "auth", 402: "busy", 403: "auth", 404: "refused", 429: "busy"}
    return known.get(status, "failed") if isinstance(status, int) else "failed"
