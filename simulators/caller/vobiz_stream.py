"""One media socket between Vobiz and the application; a call may have several in a row."""

import time
import uuid
from typing import Protocol

from simulators.caller import vobiz_messages as messages
from simulators.caller.codec import WireFormat
from simulators.caller.impairment import Impairment
from simulators.caller.phrase import Packet
from simulators.caller.wire import Wire, open_wire


class StreamOwner(Protocol):
    """The call that a media socket belongs to."""

    def stream_text(self, stream: "MediaStream", data: bytes) -> None:
        """A text message arrived."""

    def stream_binary(self, stream: "MediaStream", data: bytes) -> None:
        """A binary message arrived, which this protocol does not have."""

    def stream_closed(self, stream: "MediaStream", code: int, reason: str) -> None:
        """The socket is gone."""


class MediaStream:
    """Sends what the platform sends; hands on what arrives.

    Attributes:
        stream_id: Made for this socket; a reconnect of the same call has another.
        chunks: How many ``media`` messages were sent.
    """

    def __init__(
        self, owner: StreamOwner, call_id: str, account_id: str, wire_format: WireFormat
    ) -> None:
        self.stream_id = str(uuid.uuid4())
        self.chunks = 0
        self._owner = owner
        self._call_id = call_id
        self._account_id = account_id
        self._wire_format = wire_format
        self._template = messages.media_template(self.stream_id)
        self._wire: Wire | None = None

    @property
    def wire(self) -> Wire:
        """The socket below.

        Raises:
            ConnectionError: It was never opened.
        """
        if self._wire is None:
            raise ConnectionError("the media socket is not open")
        return self._wire

    async def connect(self, url: str, *, timeout_seconds: float) -> None:
        """Open the socket.

        Raises:
            WireRefused: The application did not accept it.
        """
        self._wire = await open_wire(
            url, self, headers={"User-Agent": "Vobiz"}, timeout_seconds=timeout_seconds
        )

    def send_start(self) -> None:
        """Send ``start``."""
        self.wire.send_text(
            messages.start_message(
                self._call_id, self.stream_id, self._account_id, self._wire_format
            )
        )

    def send_media(self, packet: Packet, impairment: Impairment | None = None) -> None:
        """Send 20 ms of the caller's voice, or what the line makes of it."""
        self.chunks += 1
        message = self._template % (
            self.chunks,
            int(time.time() * 1000),
            self.chunks,
            packet.base64,
        )
        if impairment is None:
            self.wire.send_text(message)
            return
        for impaired in impairment(message):
            self.wire.send_text(impaired)

    def send_dtmf(self, digit: str) -> None:
        """Send a key press."""
        self.wire.send_text(messages.dtmf_message(self.stream_id, digit, int(time.time() * 1000)))

    def send_played(self, name: str) -> None:
        """Acknowledge a checkpoint."""
        self.wire.send_text(messages.played_message(self.stream_id, name))

    def send_cleared(self) -> None:
        """Acknowledge a flush."""
        self.wire.send_text(messages.cleared_message(self.stream_id))

    def send_stop(self) -> None:
        """Send the inbound ``stop`` that only some platforms send."""
        self.wire.send_text(messages.stop_message(self.stream_id))

    def text_received(self, data: bytes) -> None:
        """From the wire."""
        self._owner.stream_text(self, data)

    def binary_received(self, data: bytes) -> None:
        """From the wire."""
        self._owner.stream_binary(self, data)

    def closed(self, code: int, reason: str) -> None:
        """From the wire."""
        self._owner.stream_closed(self, code, reason)
