"""How uvicorn serves WebSockets, changed in four points for phone calls.

- A text message that is not UTF-8 is handed on with U+FFFD in place of the bad bytes instead of
  closing the socket with 1007: a bad message never ends a call, it is counted by the dialect.
- Reading is paused only when messages pile up. uvicorn pauses and resumes the transport for
  every message, two system calls each; a call has 50 messages a second.
- A peer that no longer answers pings is reported at once, with code 1006. uvicorn waits for what
  it has still to send to such a peer, which is for ever.
- A refusal before the upgrade is an answer like any other; uvicorn logs it as an error of ours.
"""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

#: Messages that may wait for the session before reading pauses: a second and more of audio.
MAX_WAITING_MESSAGES = 64
#: A message this long pauses reading by itself; the dialects refuse it.
LONG_MESSAGE_BYTES = 64 * 1024


class CallWebSocketProtocol(WebSocketsSansIOProtocol):
    """The protocol class given to uvicorn."""

    def send_receive_event_to_app(self) -> None:
        """Queue one whole message for the application."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text":
            text = str(data, "utf-8", "replace")
            self.queue.put_nowait({"type": "websocket.receive", "text": text})
        else:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": bytes(data)})
        much = len(data) > LONG_MESSAGE_BYTES or self.queue.qsize() >= MAX_WAITING_MESSAGES
        if much and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def send(self, message: ASGISendEvent) -> None:
        """Send for the application."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True

    def keepalive_timeout(self) -> None:
        """The peer has not answered a ping in time: it is gone."""
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": 1006, "reason": "no answer to a ping"}
        )
        super().keepalive_timeout()
        self.transport.abort()
