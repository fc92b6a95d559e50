"""A client program on ``/voice``: ``auth``, then audio, text and keys as JSON."""

import asyncio
from types import TracebackType
from typing import Literal, Self

from simulators.caller import client_messages as messages
from simulators.caller.impairment import Impairment
from simulators.caller.leg import CallClosed, CallTimeout, Leg, TranscriptLine
from simulators.caller.phrase import Packet
from simulators.caller.ticker import Ticker
from simulators.caller.wire import Wire, open_wire
from simulators.speech import Pcm, Speech, Voice

FormatName = Literal["pcm_8k", "pcm_16k", "pcm_24k", "mulaw_8k"]
ControlAction = Literal["pause", "resume", "end", "interrupt"]
_SPEAKERS: dict[str, Literal["caller", "agent"]] = {
    "user": "caller",
    "caller": "caller",
    "assistant": "agent",
    "agent": "agent",
}


class ClientRefused(ConnectionError):
    """The server answered ``auth`` with an error.

    Attributes:
        code: The error's code, or empty where the socket closed without one.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class ClientCaller(Leg):
    """One session.

    Args:
        url: ``ws://…/voice``.
        token: JWT for ``auth``.
        agent_id: Whom to talk to.
        format: Format of both directions.
        binary: Ask for and send binary audio frames instead of base64.

    Attributes:
        errors, states, metrics: What the server sent, in order.
        interim: Transcripts that were not final.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        agent_id: str | None = None,
        format: FormatName = "pcm_16k",
        binary: bool = False,
        ready_timeout_seconds: float = 10.0,
        ticker: Ticker | None = None,
        speech: Speech | None = None,
        voice: Voice | None = None,
        background: Pcm | None = None,
        impairment: Impairment | None = None,
    ) -> None:
        super().__init__(
            wire_format=messages.FORMATS[format],
            ticker=ticker,
            speech=speech,
            voice=voice,
            background=background,
            impairment=impairment,
        )
        self.url = url
        self.session_id = ""
        self.errors: list[messages.Error] = []
        self.states: list[tuple[float, str]] = []
        self.metrics: list[messages.Metrics] = []
        self.interim: list[TranscriptLine] = []
        self.pongs = 0
        self.connect_ms: float | None = None
        self.ready_ms: float | None = None
        self._token = token
        self._agent_id = agent_id
        self._format_name = format
        self._binary = binary
        self._ready_timeout_seconds = ready_timeout_seconds
        self._ready: asyncio.Future[None] | None = None
        self._template = b""
        self._last_sequence: int | None = None
        self._fatal = False
        self._wire: Wire | None = None
        self._gone = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.place()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.hang_up()

    async def place(self) -> None:
        """Connect, authenticate and wait for ``ready``.

        Raises:
            WireRefused: The WebSocket was refused.
            ClientRefused: ``auth`` was.
            CallTimeout: Neither ``ready`` nor an error came.
        """
        began_ms = self.ticker.now_ms()
        self._ready = asyncio.get_running_loop().create_future()
        self._wire = wire = await open_wire(self.url, self)
        self.connect_ms = self.ticker.now_ms() - began_ms
        auth = {"token": self._token, "format": self._format_name}
        if self._agent_id is not None:
            auth["agent_id"] = self._agent_id
        extra = {"binary": True} if self._binary else {}
        wire.send_text(messages.encode("auth", **auth, **extra))
        try:
            async with asyncio.timeout(self._ready_timeout_seconds):
                await self._ready
        except TimeoutError as error:
            wire.abort()
            raise CallTimeout("neither ready nor an error came") from error
        except ClientRefused:
            await self._let_close(wire)
            raise
        self.ready_ms = self.ticker.now_ms() - began_ms

    async def hang_up(self, *, close_code: int = 1000, abort: bool = False) -> None:
        """Close the socket without ``control end``."""
        wire = self._wire
        if wire is None:
            return
        self._end(close_code, "the client closed")
        if abort:
            wire.abort()
        await wire.close(close_code)

    async def end(self, *, timeout_seconds: float = 10.0) -> None:
        """Send ``control end`` and wait for the server to close.

        Raises:
            CallTimeout: It did not.
        """
        self.control("end")
        await self.wait_ended(timeout_seconds)

    async def wait_ended(self, timeout_seconds: float = 30.0) -> None:
        """Wait until the server has closed the socket.

        Raises:
            CallTimeout: It did not.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._gone.wait()
        except TimeoutError as error:
            raise CallTimeout("the server did not close the session") from error

    def control(self, action: ControlAction) -> None:
        """Pause, resume, end or interrupt."""
        self._send("control", action=action, session_id=self.session_id)

    def text(self, text: str) -> None:
        """Type instead of speaking; counts as an input like a key."""
        self._send("text", text=text)
        self._key_pressed(text)

    def press(self, digits: str) -> None:
        """Press keys, all at once."""
        for digit in digits:
            self._send("dtmf", digit=digit)
            self._key_pressed(digit)

    async def ping(self, timeout_ms: float = 5000.0) -> float:
        """Measure a round trip in milliseconds of call time."""
        sent_ms, before = self.now_ms, self.pongs
        self._send("ping")
        await self.until(lambda: self.pongs > before, timeout_ms, "pong")
        return self.now_ms - sent_ms

    def send_raw(self, data: bytes | str) -> None:
        """Send any text message, valid or not."""
        self._require_live()
        self._open_wire.send_text(data.encode() if isinstance(data, str) else data)

    def send_binary(self, data: bytes) -> None:
        """Send any binary message."""
        self._require_live()
        self._open_wire.send_binary(data)

    def vanish(self) -> None:
        """Be gone without a word: the connection stays up, nothing is read or sent."""
        self.mute()
        self._open_wire.vanish()

    @property
    def bytes_on_wire(self) -> tuple[int, int]:
        """Sent and received."""
        wire = self._wire
        return (wire.bytes_sent, wire.bytes_received) if wire else (0, 0)

    @property
    def dropped(self) -> int:
        """Messages not sent because the server does not read."""
        return self._wire.dropped if self._wire else 0

    async def _let_close(self, wire: Wire) -> None:
        """The server closes after a fatal error; a refused client waits for it, briefly."""
        try:
            async with asyncio.timeout(10.0):
                await self._gone.wait()
        except TimeoutError:
            self._violated("the socket stays open after auth was refused")
            wire.abort()

    # From the wire

    def text_received(self, data: bytes) -> None:
        """From the wire."""
        try:
            message = messages.read_message(data)
            self._check_order(message)
            self._take(message)
        except ValueError as error:
            self._violated(str(error))

    def binary_received(self, data: bytes) -> None:
        """From the wire: audio, where it was asked for."""
        if not self._binary:
            self._violated("a binary message that was not asked for")
        elif not self.live:
            self._violated("audio before ready")
        elif not data or len(data) % self.wire_format.sample_bytes:
            self._violated(f"audio: {len(data)} bytes")
        else:
            self._hear(data, self.wire_format)

    def closed(self, code: int, reason: str) -> None:
        """From the wire."""
        if self._ready is not None and not self._ready.done():
            why = f"closed before ready: {code} {reason}".strip()
            self._ready.set_exception(ClientRefused(why, code=""))
        self._end(code, reason)
        self._gone.set()

    def _check_order(self, message: messages.ServerMessage) -> None:
        if self._fatal:
            raise ValueError(f"{type(message).__name__} after a fatal error")
        if isinstance(message, messages.Ready):
            if self.session_id:
                raise ValueError("ready was sent twice")
        elif not self.session_id:
            if not isinstance(message, messages.Error | messages.Pong):
                raise ValueError(f"{type(message).__name__} before ready")
        elif message.session_id != self.session_id:
            raise ValueError(f"{type(message).__name__}: session_id of another session")

    def _take(self, message: messages.ServerMessage) -> None:
        match message:
            case messages.Audio():
                self._take_audio(message)
            case messages.Ready():
                self._take_ready(message)
            case messages.Transcript():
                line = TranscriptLine(self.now_ms, _SPEAKERS[message.role], message.text)
                (self.transcript if message.final else self.interim).append(line)
            case messages.Status():
                self.states.append((self.now_ms, message.state))
            case messages.Interrupted():
                self.playback.clear(self.now_ms)
                self.playback.due(self.now_ms)
            case messages.Metrics():
                self.metrics.append(message)
            case messages.Error():
                self._take_error(message)
            case messages.Pong():
                self.pongs += 1

    def _take_ready(self, message: messages.Ready) -> None:
        self.session_id = message.session_id
        if not message.session_id:
            raise ValueError("ready: session_id is empty")
        unknown = set(message.formats) - set(messages.FORMATS)
        if unknown or self._format_name not in message.formats:
            self._violated(f"ready: formats {message.formats}")
        self._template = messages.audio_template(self.session_id, self._format_name)
        self._begin()
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _take_audio(self, message: messages.Audio) -> None:
        if message.format is not None and message.format != self._format_name:
            raise ValueError(f"audio: format {message.format!r} was not asked for")
        if self._binary:
            self._violated("audio: base64 although binary was asked for")
        if self._last_sequence is not None and message.sequence <= self._last_sequence:
            self._violated(f"audio: sequence {message.sequence} after {self._last_sequence}")
        self._last_sequence = message.sequence
        payload = messages.audio_payload(message)
        if not payload or len(payload) % self.wire_format.sample_bytes:
            raise ValueError(f"audio: {len(payload)} bytes")
        self._hear(payload, self.wire_format)

    def _take_error(self, message: messages.Error) -> None:
        self.errors.append(message)
        self._fatal = message.fatal
        if self._ready is not None and not self._ready.done():
            why = f"{message.code}: {message.message}"
            self._ready.set_exception(ClientRefused(why, code=message.code))

    # To the wire

    @property
    def _open_wire(self) -> Wire:
        if self._wire is None:
            raise CallClosed("the session is not up")
        return self._wire

    def _send(self, kind: str, **members: str) -> None:
        self._require_live()
        self._open_wire.send_text(messages.encode(kind, **members))

    def _send_packet(self, packet: Packet) -> None:
        self.packets_sent += 1
        if self._binary:
            message, send = packet.raw, self._open_wire.send_binary
        else:
            message = self._template % (self.packets_sent, packet.base64)
            send = self._open_wire.send_text
        if self._impairment is None:
            send(message)
            return
        for impaired in self._impairment(message):
            send(impaired)
