"""How uvicorn serves HTTP, with deadlines and a bound for connections that ask for nothing.

uvicorn waits for ever for a first request, and for the rest of one that has begun. Here a request
has to be there wholly, its body too, within seconds; also a WebSocket's, which from then on has
deadlines of its own (:mod:`sessions.reception`). After an answer uvicorn closes what is idle.
"""

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sessions import metrics

#: How long a request may take to arrive, from its connection or its first byte on.
REQUEST_SECONDS: Final = 10.0
#: Connections whose request has not arrived; a request in good faith is there in milliseconds.
MAX_WAITING: Final = 256


class CallHttpProtocol(HttpToolsProtocol):
    """The protocol class given to uvicorn."""

    #: Those whose request is still to come, the longest first; of the whole process.
    _waiting: ClassVar[dict["CallHttpProtocol", asyncio.TimerHandle]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A part of a request, or all of it."""
        self._wait()
        super().data_received(data)

    def on_message_complete(self) -> None:
        """A request is there."""
        self._wait_no_more()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """A WebSocket's request is there."""
        self._wait_no_more()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """See that the request arrives in time; the longest wait gives way to the latest."""
        if self in self._waiting or self.transport.is_closing():
            return
        if len(self._waiting) >= MAX_WAITING:
            next(iter(self._waiting))._cut("many")
        timer = self.loop.call_later(REQUEST_SECONDS, self._cut, "slow")
        self._waiting[self] = timer

    def _wait_no_more(self) -> None:
        if (timer := self._waiting.pop(self, None)) is not None:
            timer.cancel()

    def _cut(self, reason: str) -> None:
        self._wait_no_more()
        metrics.CONNECTIONS_CUT.labels(reason).inc()
        self.transport.abort()
