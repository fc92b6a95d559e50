"""One context of a Cartesia WebSocket: text in, in parts; audio out, in order."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Protocol

from simulators.cartesia import messages
from simulators.cartesia.request import Generation, InvalidRequest
from simulators.cartesia.voice import Spoken, pieces, word_times
from simulators.connection import Connection
from simulators.pace import Pace

_SENTENCE_ENDS: Final = (".", "!", "?", "।", "॥", "…", "\n")
_MAX_PARTS: Final = 1000


class Settings(Protocol):
    """What a context needs to know of its simulator."""

    speed: float
    late_chunks: int
    context_expiry_ms: float

    def speak(self, generation: Generation, text: str, context_number: int) -> Spoken:
        """Note an utterance and choose its tone."""

    def next_tone(self) -> int:
        """A number for a new context."""

    def violate(self, text: str) -> None:
        """Note what no correct client would have sent."""


class Context:
    """A context, from its first transcript until it is done, cancelled or expired.

    Args:
        number: Its number in the simulator; chooses the tone.
        first: Its first request; says what may not change.
        on_end: Called once, when it takes no more text.
    """

    def __init__(
        self,
        *,
        number: int,
        first: Generation,
        connection: Connection,
        version: str,
        settings: Settings,
        on_end: Callable[[], None],
    ) -> None:
        self._number = number
        self._first = first
        self._connection = connection
        self._version = version
        self._settings = settings
        self._on_end = on_end
        self._buffer = ""
        self._timer: asyncio.TimerHandle | None = None
        self._parts: asyncio.Queue[tuple[str, bool, bool]] = asyncio.Queue(_MAX_PARTS)
        self._flushes = 0
        self._offset_ms = 0.0
        self._is_closed = False
        self._is_speaking = False
        self._chunks_left: int | None = None
        self._pace = Pace(connection.behaviour.speed or settings.speed)
        self._head, self._tail = messages.chunk_frame(first.context_id)
        self._task = asyncio.create_task(self._run())

    def add(self, generation: Generation) -> None:
        """Take another part of the text.

        Raises:
            InvalidRequest: A field changed, or the context takes no more text.
        """
        if self._is_closed:
            raise InvalidRequest(
                "Context closed",
                f"The context {self._first.context_id} takes no more input.",
                error_code="context_closed",
            )
        changed = _changed_field(self._first, generation)
        if changed is not None:
            raise InvalidRequest(
                "Bad request",
                f"All fields but transcript, continue and duration must stay the same within a"
                f" context; {changed} changed.",
                error_code="context_field_changed",
            )
        self._buffer += generation.transcript
        at_once = generation.buffer_ms == 0 or self._buffer.rstrip().endswith(_SENTENCE_ENDS)
        if not generation.continues:
            self._is_closed = True
            self._submit(is_last=True)
        elif generation.flush:
            self._submit(is_flush=True)
        elif at_once:
            self._submit(is_flush=generation.buffer_ms == 0)
        elif self._buffer and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(generation.buffer_ms / 1000, self._submit)

    def cancel(self) -> None:
        """Stop, but for the chunks that are on their way already."""
        self._is_closed = True
        self._chunks_left = self._settings.late_chunks
        self._stop_timer()
        if not self._chunks_left or not self._is_speaking:
            self._task.cancel()

    async def aclose(self) -> None:
        """Stop at once and wait for the end."""
        self._stop_timer()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _submit(self, *, is_flush: bool = False, is_last: bool = False) -> None:
        self._stop_timer()
        text, self._buffer = self._buffer, ""
        if text or is_flush or is_last:
            self._parts.put_nowait((text, is_flush, is_last))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self) -> None:
        utterance: Spoken | None = None
        try:
            while True:
                text, is_flush, is_last = await self._next_part()
                if text.strip() and not self._connection.behaviour.empty:
                    utterance = self._settings.speak(self._first, text, self._number)
                    self._is_speaking = True
                    if not await self._speak(utterance):
                        return
                    self._is_speaking = False
                if is_last:
                    await self._connection.say(messages.done(self._first.context_id))
                    return
                if is_flush:
                    await self._say_flushed()
        except TimeoutError:
            return
        finally:
            self._is_closed = True
            if utterance is not None and utterance.sent_ms < utterance.duration_ms:
                utterance.is_cancelled = True
            self._on_end()

    async def _next_part(self) -> tuple[str, bool, bool]:
        """The next text.

        Raises:
            TimeoutError: The context expired.
        """
        if not self._offset_ms:
            return await self._parts.get()
        is_waiting = self._parts.empty()
        try:
            async with asyncio.timeout(self._settings.context_expiry_ms / 1000):
                part = await self._parts.get()
        except TimeoutError:
            if self._timer is None:
                raise
            part = await self._parts.get()
        if is_waiting:
            self._pace.restart()
        return part

    async def _say_flushed(self) -> None:
        self._flushes += 1
        await self._connection.say(messages.flush_done(self._first.context_id, self._flushes))

    async def _speak(self, utterance: Spoken) -> bool:
        """Send an utterance; False where it was cancelled or failed on the way."""
        connection = self._connection
        behaviour = connection.behaviour
        if not self._offset_ms:
            await connection.before_first()
            self._pace.restart()
        words = word_times(utterance) if self._first.add_timestamps else []
        for piece in pieces(utterance, rate_hz=behaviour.audio_rate_hz, odd=behaviour.odd_frames):
            if connection.due_error():
                failure = InvalidRequest("Internal error", "It failed.", status=500)
                context_id = self._first.context_id
                await connection.say(messages.error(failure, self._version, context_id))
                return False
            words = await self._say_words(words, piece.start_ms + piece.duration_ms)
            await connection.say(f"{self._head}{piece.data}{self._tail}")
            connection.sent(piece.size)
            utterance.sent_ms += piece.duration_ms
            if self._chunks_left is not None:
                self._chunks_left -= 1
                if self._chunks_left <= 0:
                    return False
            await self._pace.after(piece.duration_ms)
        self._offset_ms += utterance.duration_ms
        return True

    async def _say_words(
        self, words: list[tuple[str, float, float]], until_ms: float
    ) -> list[tuple[str, float, float]]:
        """Send the times of the words that begin before ``until_ms``; returns the others."""
        due = [word for word in words if word[1] * 1000 < until_ms]
        if due:
            offset = self._offset_ms / 1000
            shifted = [(word, start + offset, end + offset) for word, start, end in due]
            await self._connection.say(messages.timestamps(self._first.context_id, shifted))
        return words[len(due) :]


def _changed_field(first: Generation, later: Generation) -> str | None:
    names = first.fixed.keys() | later.fixed.keys()
    changed = (name for name in names if first.fixed.get(name) != later.fixed.get(name))
    return min(changed, default=None)
