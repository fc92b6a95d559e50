"""A phone call as Vobiz places it on an application: webhook, XML, media socket, hang-up."""

import asyncio
import time
import uuid
from collections import deque
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from simulators.caller import vobiz_messages as messages
from simulators.caller.codec import MULAW_8K, WireFormat
from simulators.caller.impairment import Impairment
from simulators.caller.leg import CallTimeout, Leg
from simulators.caller.phrase import Packet
from simulators.caller.playback import Cleared, PlaybackEvent
from simulators.caller.ticker import Ticker
from simulators.caller.vobiz_answer import AnswerRejected, StreamOrder, read_answer
from simulators.caller.vobiz_line import VobizLine, VobizLog
from simulators.caller.vobiz_stream import MediaStream
from simulators.caller.vobiz_webhooks import (
    CALLER_HUNG_UP,
    END_OF_XML,
    CallFacts,
    HangupCause,
    WebhookQueue,
    send_webhook,
)
from simulators.speech import Pcm, Speech, Voice

_ERROR_SOURCE = "Error"
#: Of so many it is known when they were sent: five seconds of a steady line.
_REMEMBERED_PACKETS: Final = 250


class VobizCaller(Leg):
    """One call.

    Give ``answer_url`` to be answered as the platform is, or ``stream_url`` to go straight to
    the media socket. Use as a context manager, or call :meth:`place` and :meth:`hang_up`.

    Args:
        answer_url: The application's answer webhook.
        stream_url: A media socket, used where there is no ``answer_url``.
        hangup_url: The hang-up webhook; as at the platform, ``answer_url`` where not given.
        line: How platform and line behave.
        wire_format: Format of the caller's audio; the answer's ``contentType`` overrides it.
        call_id: ``CallUUID``; made up by default.
    """

    def __init__(
        self,
        *,
        answer_url: str | None = None,
        stream_url: str | None = None,
        hangup_url: str | None = None,
        line: VobizLine | None = None,
        wire_format: WireFormat = MULAW_8K,
        call_id: str | None = None,
        ticker: Ticker | None = None,
        speech: Speech | None = None,
        voice: Voice | None = None,
        background: Pcm | None = None,
        impairment: Impairment | None = None,
    ) -> None:
        super().__init__(
            wire_format=wire_format,
            ticker=ticker,
            speech=speech,
            voice=voice,
            background=background,
            impairment=impairment,
        )
        if answer_url is None and stream_url is None:
            raise ValueError("give answer_url or stream_url")
        self.line = line or VobizLine()
        self.call_id = call_id or str(uuid.uuid4())
        self.log = VobizLog()
        self.order: StreamOrder | None = None
        self.facts = CallFacts(
            call_id=self.call_id,
            from_number=self.line.from_number,
            to_number=self.line.to_number,
            direction=self.line.direction,
            parent_auth_id=self.line.parent_auth_id,
            session_start=datetime.now(UTC),
        )
        self._answer_url = answer_url
        self._stream_url = stream_url
        self._hangup_url = hangup_url or answer_url
        self._stream: MediaStream | None = None
        self._last_stream: MediaStream | None = None
        self._answered_at: datetime | None = None
        self._retries_left = 0
        self._webhooks = WebhookQueue(self.line.auth_token, self.log.webhook_failures)
        self._task: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._sent_at: deque[float] = deque(maxlen=_REMEMBERED_PACKETS)

    # The life of a call

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
        """Ring, be answered, open the stream and send ``start``.

        Raises:
            AnswerRejected: The answer is one over which the platform would drop the call; the
                Hangup webhook has been sent.
            WireRefused: The media socket was refused; likewise.
        """
        try:
            if self._answer_url is not None:
                await self._ask(self._answer_url)
            await self._open_stream()
        except (AnswerRejected, ConnectionError) as error:
            code = error.code if isinstance(error, AnswerRejected) else END_OF_XML.code
            await self._report_hangup(HangupCause(code, str(error), _ERROR_SOURCE))
            raise

    async def hang_up(self, *, close_code: int = 1000, abort: bool = False) -> None:
        """The caller puts the phone down; returns when the Hangup webhook has been sent.

        Args:
            close_code: With which the platform closes the socket.
            abort: Cut the TCP connection instead.
        """
        if self.live:
            if self.line.stop_on_hangup:
                self._live_stream.send_stop()
            self._end(close_code, "the caller hung up")
            await self._finish(CALLER_HUNG_UP, close_code=close_code, abort=abort)
        elif self._task is not None:
            await self._over.wait()

    async def wait_ended(self, timeout_seconds: float = 30.0) -> None:
        """Wait until the application has ended the call and every webhook has been sent.

        Raises:
            CallTimeout: It has not.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._over.wait()
        except TimeoutError as error:
            raise CallTimeout("the application did not end the call") from error

    def press(self, digits: str) -> None:
        """Press keys, all at once."""
        for digit in digits:
            self._live_stream.send_dtmf(digit)
            self._key_pressed(digit)

    async def reconnect(self, *, close_old: bool = True) -> None:
        """Open another socket for the same call: a new ``streamId``, the same ``callId``.

        Args:
            close_old: Cut the old socket first; otherwise it is left open beside the new one.
        """
        old = self._live_stream
        self._stream = None
        self.playback.cut(self.now_ms)
        if close_old:
            old.wire.abort()
        await self._open_stream()

    def send_start_again(self) -> None:
        """Send the same ``start`` a second time."""
        self._live_stream.send_start()

    def send_raw(self, data: bytes | str) -> None:
        """Send any text message, valid or not; bytes need not be UTF-8."""
        self._live_stream.wire.send_text(data.encode() if isinstance(data, str) else data)

    def send_binary(self, data: bytes) -> None:
        """Send a binary message, which this protocol does not have."""
        self._live_stream.wire.send_binary(data)

    def vanish(self) -> None:
        """Be gone without a word: the connection stays up, nothing is read or sent."""
        self.mute()
        self._live_stream.wire.vanish()

    @property
    def stream_id(self) -> str:
        """Of the socket in use."""
        return self._live_stream.stream_id

    @property
    def bytes_on_wire(self) -> tuple[int, int]:
        """Sent and received on the socket in use."""
        if self._last_stream is None:
            return 0, 0
        return self._last_stream.wire.bytes_sent, self._last_stream.wire.bytes_received

    @property
    def local_port(self) -> int:
        """Of the socket in use, at this end; 0 before there is one."""
        return 0 if self._last_stream is None else self._last_stream.wire.local_port

    def packets_sent_by(self, at: float) -> int:
        """How many packets had been sent by an instant of the last seconds.

        Args:
            at: As ``time.monotonic()`` says it.
        """
        return self.packets_sent - sum(sent > at for sent in self._sent_at)

    @property
    def dropped(self) -> int:
        """Messages not sent because the application does not read."""
        return self._last_stream.wire.dropped if self._last_stream else 0

    # From the application

    def stream_text(self, stream: MediaStream, data: bytes) -> None:
        """From the media socket."""
        if stream is not self._stream:
            return
        message, problem = messages.read_message(data, stream.stream_id)
        if problem is not None:
            self._violated(problem)
        if message is None:
            return
        if message.stream_id != stream.stream_id:
            self._violated(f"{type(message).__name__}: streamId of another stream")
            return
        if isinstance(message, messages.PlayAudio):
            self._play(message.media)
        elif isinstance(message, messages.Checkpoint):
            self.log.checkpoints.append(message.name)
            self.playback.checkpoint(self.now_ms, message.name)
        elif isinstance(message, messages.ClearAudio):
            self.playback.clear(self.now_ms, self.line.cleared_latency_ms)
        else:
            self._stopped()

    def stream_binary(self, stream: MediaStream, data: bytes) -> None:
        """From the media socket."""
        self._violated(f"a binary message of {len(data)} bytes")

    def stream_closed(self, stream: MediaStream, code: int, reason: str) -> None:
        """From the media socket: unless it was our doing, the stream has been dropped."""
        if stream is not self._stream or not self.live:
            return
        self._status("DroppedStream", {"Error": "connection disconnected with the remote service"})
        if self._retries_left > 0:
            self._retries_left -= 1
            self._stream = None
            self.playback.cut(self.now_ms)
            self._task = asyncio.create_task(self._retry())
            return
        self._end(code, reason)
        self._task = asyncio.create_task(self._finish(END_OF_XML))

    def _play(self, media: messages.PlayMedia) -> None:
        audio, problems = messages.playable(media, self.line.l16_out_order)
        for problem in problems:
            self._violated(problem)
        if audio is None:
            return
        if self.playback.flushing(self.now_ms):
            self._violated("playAudio between clearAudio and clearedAudio: it is lost")
        self._hear(*audio)

    def _stopped(self) -> None:
        now_ms = self.now_ms
        self.log.lost_to_stop_ms = max(0.0, self.playback.end_ms - now_ms)
        self._end(1000, "the application sent stop")
        self._status("StopStream", {})
        self._task = asyncio.create_task(self._finish(END_OF_XML))

    # To the application

    @property
    def _live_stream(self) -> MediaStream:
        self._require_live()
        if self._stream is None:
            raise ConnectionError("the media socket is being reconnected")
        return self._stream

    def _send_packet(self, packet: Packet) -> None:
        self.packets_sent += 1
        self._sent_at.append(time.monotonic())
        if self._stream is not None:
            self._stream.send_media(packet, self._impairment)

    def _tell(self, event: PlaybackEvent) -> None:
        if self._stream is None:
            return
        if isinstance(event, Cleared):
            self._stream.send_cleared()
            self._status("ClearedAudio", {})
        elif self.line.ack_checkpoints:
            self.log.played.append(event.name)
            self._stream.send_played(event.name)
            self._status("PlayedStream", {"Name": event.name})

    async def _ask(self, url: str) -> None:
        line = self.line
        form = self.facts.answer_form()
        answer = await send_webhook(url, line.answer_method, form, auth_token=line.auth_token)
        self.log.answer_ms = answer.took_ms
        self.order = order = read_answer(answer.status, answer.content_type, answer.body)
        for problem in order.problems:
            self._violated(problem)
        self._retries_left = order.max_retries
        self._stream_url = order.url
        self._set_format(order.wire_format(line.l16_in_order))

    async def _open_stream(self) -> None:
        assert self._stream_url is not None
        stream = MediaStream(self, self.call_id, self.line.account_id, self.wire_format)
        began_ms = self.ticker.now_ms()
        await stream.connect(self._stream_url, timeout_seconds=self.line.connect_timeout_seconds)
        self.log.connect_ms = self.ticker.now_ms() - began_ms
        self._stream = self._last_stream = stream
        for _ in range(self.line.media_before_start):
            self._send_packet(self._idle_packets[0])
        stream.send_start()
        if self._answered_at is None:
            self._answered_at = datetime.now(UTC)
            self._begin()
        url = self.order.url if self.order is not None else self._stream_url
        self._status("StartStream", {"ServiceURL": url})

    async def _retry(self) -> None:
        try:
            await self._open_stream()
        except ConnectionError as error:
            self._end(1006, str(error))
            await self._finish(END_OF_XML)

    async def _finish(
        self, cause: HangupCause, *, close_code: int = 1000, abort: bool = False
    ) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            if abort:
                stream.wire.abort()
            await stream.wire.close(close_code)
        await asyncio.sleep(self.line.hangup_delay_ms / 1000)
        await self._report_hangup(cause)

    def _status(self, event: str, extra: dict[str, str]) -> None:
        order = self.order
        if order is None or order.status_url is None or self._last_stream is None:
            return
        form = self.facts.status_form(event, self._last_stream.stream_id, order, extra)
        self._webhooks.put(order.status_url, order.status_method, form)

    async def _report_hangup(self, cause: HangupCause) -> None:
        if self._hangup_url is not None:
            form = self.facts.hangup_form(
                answered=self._answered_at, ended=datetime.now(UTC), cause=cause
            )
            self._webhooks.put(self._hangup_url, self.line.answer_method, form)
        await self._webhooks.drain()
        self._over.set()
