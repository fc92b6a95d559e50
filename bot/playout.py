"""Paces wire audio to one caller, a little ahead of the clock, and knows what was heard.

The line plays what it is sent in order and in real time, so a lead of a few hundred
milliseconds hides late ticks of the event loop: in a trial at 16 calls a lead of 300 ms took
the audible gaps from 26 to 0. The lead is also what a barge-in has to flush, so it stays small.
"""

import asyncio

from loguru import logger

from bot.checkpoints import Checkpoints
from bot.marks import Mark, Marks
from bot.media import Lateness, MediaSink, NoLine, nobody_minds

FRAME_MS = 20
#: How close to a mark's position counts as there; timers are no better than a millisecond.
TOLERANCE_MS = 0.5
#: The most that may wait to be heard. The chain of voices asks for no more once 20 s wait
#: (``bot.chains.backlog``), so there is room for whatever phrases are put behind an answer.
MAX_QUEUED_SECONDS = 300.0
#: How long to hold new audio for a line's answer to ``clear`` (vobiz.md section 4.2: at most 1 s).
CLEAR_BACKSTOP_SECONDS = 1.0


class Playout:
    """One call's outgoing audio.

    Positions are milliseconds along everything ever queued for this call, without the pauses
    between utterances. ``run`` must be running for anything to be sent.

    Args:
        sink: Where packets go; may be set later, before ``run``.
        bytes_per_ms: Of the wire codec (8 for mu-law at 8 kHz).
        silence: The byte that stands for silence in the wire codec.
        lead_ms: How far ahead of the clock to send, at least one packet: what is ahead is
            between this and this plus a packet.
        packet_ms: Length of a packet, a multiple of 20.
        on_sent: Told how late each packet left that had been waiting for its time.
    """

    def __init__(
        self,
        sink: MediaSink | None = None,
        *,
        bytes_per_ms: int,
        silence: bytes,
        lead_ms: int = 300,
        packet_ms: int = 60,
        on_sent: Lateness = nobody_minds,
    ) -> None:
        self.sink: MediaSink = sink or NoLine()
        self.first_packet = asyncio.Event()
        self._bytes_per_ms = bytes_per_ms
        self._silence = silence
        self._lead_seconds = max(lead_ms, packet_ms) / 1000
        self._packet_bytes = packet_ms * bytes_per_ms
        self._frame_bytes = FRAME_MS * bytes_per_ms
        self._max_bytes = int(MAX_QUEUED_SECONDS * 1000) * bytes_per_ms
        self._buffer = bytearray()
        self._sent_ms = 0.0
        self._play_end = 0.0
        self._marks = Marks()
        self._checkpoints = Checkpoints()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._held_until: float | None = None
        self._paused = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._on_sent = on_sent
        self._due_at: float | None = None

    @property
    def queued_ms(self) -> float:
        """Position of the end of everything queued so far."""
        return self._sent_ms + len(self._buffer) / self._bytes_per_ms

    @property
    def backlog_ms(self) -> float:
        """Whole frames queued here and not yet sent."""
        size = len(self._buffer)
        return (size - size % self._frame_bytes) / self._bytes_per_ms

    @property
    def playing(self) -> bool:
        """Whether the caller hears something now or is about to."""
        return bool(self._buffer) or self._play_end > self._now()

    @property
    def play_end(self) -> float:
        """Loop time at which the last packet sent will have been heard."""
        return self._play_end

    def heard_ms(self) -> float:
        """Position up to which the caller has heard."""
        return self._sent_ms - max(0.0, self._play_end - self._now()) * 1000

    def has_room(self, payload: bytes) -> bool:
        """Whether so many more bytes may wait to be heard."""
        return len(self._buffer) + len(payload) <= self._max_bytes

    def audio(self, payload: bytes) -> bool:
        """Queue wire bytes; a part of a frame is kept until more come or :meth:`flush`.

        Returns:
            False where there is no room for them, and they are dropped.
        """
        if not self.has_room(payload):
            return False
        if self._closed or not payload:
            return True
        already_due = len(self._buffer) >= self._frame_bytes
        self._buffer += payload
        self._idle.clear()
        if not already_due:
            self._wake.set()
        return True

    def flush(self) -> None:
        """Pad what is queued to a whole frame; call at the end of an utterance."""
        rest = len(self._buffer) % self._frame_bytes
        if rest:
            self._buffer += self._silence * (self._frame_bytes - rest)
        self._wake.set()

    def mark(self, callback: Mark, position_ms: float | None = None, *, keep: bool = False) -> None:
        """Await ``callback`` once the caller has heard up to a position.

        Marks run in order of position, on the playout's own task; they must not wait for
        long. A mark that is cleared before its turn is never called, unless it is to be kept:
        then it is called soon after.

        Args:
            callback: What to await.
            position_ms: Where; by default behind all that was queued and marked so far.
            keep: Whether it outlives :meth:`clear`.
        """
        if self._closed:
            return
        if position_ms is None:
            position_ms = self._marks.behind(self.queued_ms)
        self._marks.add(callback, position_ms, keep=keep)
        self._idle.clear()
        self._wake.set()

    async def clear(self) -> float:
        """Stop speaking at once: drop what is queued, here and on the line.

        Returns:
            The position up to which the caller had heard.
        """
        now = self._now()
        heard_ms = self.heard_ms()
        on_the_line = self._play_end > now
        self._buffer.clear()
        self._due_at = None
        self._marks.cut(heard_ms)
        self._sent_ms = heard_ms
        self._play_end = min(self._play_end, now)
        self._checkpoints.forget()
        if on_the_line and not self._closed:
            # From before the message is sent: nothing new may overtake it.
            self._held_until = now + CLEAR_BACKSTOP_SECONDS
            if not await self._clear_line(now):
                self._held_until = None
            elif self._held_until is not None:  # Else the answer was quicker than the sending.
                self._held_until = self._now() + CLEAR_BACKSTOP_SECONDS
        self._wake.set()
        return heard_ms

    async def _clear_line(self, heard_until: float) -> bool:
        try:
            return await self.sink.clear(heard_until)
        except (OSError, TimeoutError):
            return False  # The line is gone; whoever reads it finds out.

    def cleared(self) -> None:
        """The line confirmed that its buffer is empty."""
        self._held_until = None
        self._wake.set()

    def pause(self, paused: bool) -> None:
        """Hold or go on with what is queued."""
        self._paused = paused
        self._wake.set()

    async def checkpoint(self) -> None:
        """Ask the line to tell when all that was sent has been heard."""
        await self._checkpoints.ask(self.sink)

    def played(self, name: str) -> None:
        """The line says that it has played up to the checkpoint ``name``."""
        self._checkpoints.reached(name)

    async def drained(self, within_seconds: float) -> bool:
        """Wait until everything queued has been heard, by the line's word where it gives one.

        Returns:
            False when ``within_seconds`` passed first.
        """
        try:
            async with asyncio.timeout(within_seconds):
                await self._idle.wait()
                if self._checkpoints.awaited:
                    await self._checkpoints.wait(max(0.0, self._play_end - self._now()))
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Send and mark until cancelled, or until the sink refuses: then the line is gone."""
        try:
            while True:
                await self._send_due()
                await self._fire_due_marks()
                self._note_idle()
                await self._sleep()
        except (OSError, TimeoutError) as error:
            logger.debug(f"nothing more can be sent: {type(error).__name__}")
        finally:
            self._closed = True
            self._buffer.clear()
            self._marks.clear()
            if self._timer is not None:
                self._timer.cancel()
            self._idle.set()
            self._checkpoints.forget()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _send_due(self) -> None:
        # Asked anew before each packet: the caller may interrupt while one is being sent.
        while self._may_send():
            now = self._now()
            size = min(self._packet_bytes, len(self._buffer))
            size -= size % self._frame_bytes
            payload = bytes(self._buffer[:size])
            del self._buffer[:size]
            due_at = max(now, self._play_end)
            length_ms = size / self._bytes_per_ms
            self._play_end = due_at + length_ms / 1000
            self._sent_ms += length_ms
            if self._due_at is not None:
                self._on_sent(now, max(0.0, now - self._due_at))
                self._due_at = None
            await self.sink.send_audio(payload, due_at)
            self.first_packet.set()

    def _may_send(self) -> bool:
        now = self._now()
        if self._held_until is not None and now >= self._held_until:
            self._held_until = None
        return (
            not self._paused
            and self._held_until is None
            and len(self._buffer) >= self._frame_bytes
            and self._play_end - now < self._lead_seconds
        )

    async def _fire_due_marks(self) -> None:
        while (position_ms := self._marks.next_ms) is not None and (
            position_ms <= self.heard_ms() + TOLERANCE_MS or self._silent()
        ):
            await self._marks.fire()

    def _silent(self) -> bool:
        return not self._buffer and self._play_end <= self._now()

    def _note_idle(self) -> None:
        if self._silent() and not self._marks:
            self._idle.set()

    async def _sleep(self) -> None:
        self._wake.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        when = self._next_wake()
        if when is not None:
            self._timer = asyncio.get_running_loop().call_at(when, self._wake.set)
        await self._wake.wait()

    def _next_wake(self) -> float | None:
        """When something becomes due, in loop time; None while only new work can."""
        times: list[float] = []
        self._due_at = None
        if len(self._buffer) >= self._frame_bytes and not self._paused:
            self._due_at = self._held_until or self._play_end - self._lead_seconds + 0.001
            times.append(self._due_at)
        if (position_ms := self._marks.next_ms) is not None:
            behind_ms = self._sent_ms - position_ms
            if behind_ms >= 0 or not self._buffer:
                times.append(self._play_end - max(0.0, behind_ms) / 1000)
        elif not self._buffer and not self._idle.is_set():
            times.append(self._play_end)
        return min(times) if times else None
