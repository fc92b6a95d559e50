"""What Pipecat's services over a WebSocket owe a call when their socket fails.

Pipecat 1.14 leaves the cause of a lost connection unknown, reads certificates for each
connection, goes on after what it cannot read, and forgets to listen on a connection that it
opened anew. The mixin here puts that right for every vendor at once.
"""

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, ClassVar

from pipecat.frames.frames import ErrorFrame, Frame, TTSStoppedFrame
from pipecat.services.websocket_service import ReportErrorCallback, WebsocketService
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.protocol import State

from config.errors import ProviderError, ProviderStage
from services.failures import Failures

#: Longest wait for a handshake.
OPEN_SECONDS = 5.0
#: Read once, when an agent that needs it is loaded: 20 to 40 ms that no call should pay for.
_TLS = ssl.create_default_context()
_CATEGORIES = {
    "auth": ErrorCategory.AUTHENTICATION,
    "refused": ErrorCategory.INVALID_REQUEST,
    "busy": ErrorCategory.RATE_LIMIT,
    "dropped": ErrorCategory.CONNECTIVITY,
    "timeout": ErrorCategory.CONNECTIVITY,
}


class SocketFailures(WebsocketService):
    """Mixin, to stand before one of Pipecat's own services.

    The first thing that goes wrong ends the listening and is reported once, with a category.
    Pass ``reconnect_on_error=False``: whoever is told of a failure decides what serves next.

    Attributes:
        failures: Makes the vendor's errors.
    """

    failures: ClassVar[Failures]

    def check(self, message: dict[str, Any]) -> None:
        """Look at a message of the server's before Pipecat does.

        Raises:
            ProviderError: It tells of an error.
        """

    async def handled(self) -> None:
        """Do what is to be done when Pipecat is through with a message."""

    def checked(self, text: str | bytes) -> None:
        """Have one message looked at.

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

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        kwargs.setdefault("open_timeout", OPEN_SECONDS)
        if uri.startswith("wss://"):
            kwargs.setdefault("ssl", _TLS)
        return await super()._websocket_connect(uri, **kwargs)

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
        if isinstance(exception, ProviderError):
            kind = exception.code.removeprefix(f"{exception.stage}_")
            return _CATEGORIES.get(kind, ErrorCategory.SERVER)
        if isinstance(exception, InvalidStatus):
            return None
        if isinstance(exception, WebSocketException | OSError):
            return ErrorCategory.CONNECTIVITY
        is_garbage = isinstance(exception, ValueError | KeyError | TypeError | AttributeError)
        return ErrorCategory.SERVER if is_garbage else None

    def _failure(self, kind: str, message: str) -> ProviderError:
        stage: ProviderStage = "stt" if hasattr(self, "run_stt") else "tts"
        permanent = kind in ("auth", "refused")
        return self.failures.failure(stage, kind, message, retryable=not permanent)


class SpeakingSocketFailures(SocketFailures):
    """The same for text-to-speech: the next text after a failure has a connection of its own.

    Pipecat opens one where the old is closed, but leaves nobody listening on it.
    """

    _receive_task: Any

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
        await self._connect()  # type: ignore[no-untyped-call]


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
            self._service.checked(message)
            yield message
            await self._service.handled()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def kind_of_status(status: object) -> str:
    """The kind of failure that an HTTP status within a message stands for."""
    known = {400: "refused", 401: "auth", 402: "busy", 403: "auth", 404: "refused", 429: "busy"}
    return known.get(status, "failed") if isinstance(status, int) else "failed"
