"""A few threads of a store's own, and a deadline for what runs in them.

The deadline of what somebody waits for counts from the asking. That of an upload counts from
when it has its thread: amid many others it would be over before anything was tried, and what was
uploaded would be given up for want of a thread that looks at it. The wait has a bound of its own.

The default executor of the loop is shared with name lookups and others; a store that hangs
must not take it along. Nor may a thread be lost to a call whose deadline is over: a service
that sends a byte a second keeps every limit for silence. So a call says how to end what it
waits for (:func:`end_by`), and is ended when nobody waits for it any more.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from config.errors import StorageError

P = ParamSpec("P")
T = TypeVar("T")


class _Call:
    """One call in its thread, and what ends it from outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self.given_up = False

    def end_by(self, end: Callable[[], None]) -> None:
        with self._lock:
            if not self.given_up:
                self._end = end
                return
        raise StorageError("storage_unavailable", "nobody waits for this answer any more")

    def done(self) -> None:
        # Its connection may serve another call from now on.
        with self._lock:
            self._end = None

    def give_up(self) -> None:
        with self._lock:
            self.given_up = True
            end, self._end = self._end, None
        if end is not None:
            # What is closed, or has been handed on, needs no ending.
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                end()


class _Deadline:
    """Of one call: at first for its turn, where that has a bound of its own."""

    def __init__(self, seconds: float, turn_seconds: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._waits = turn_seconds is not None
        first = seconds if turn_seconds is None else turn_seconds
        self.limit = asyncio.timeout(first)
        self.missed = f"gave no answer in {seconds:g} s"
        if self._waits:
            self.missed = f"had no thread free in {first:g} s"

    def begin(self) -> None:
        """The call has its thread, which is this one."""
        if self._waits:
            # A loop that has been closed has nobody who waits.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        # What is over, by its end or by the bound for its turn, takes no other deadline.
        with contextlib.suppress(RuntimeError):
            self.limit.reschedule(self._loop.time() + self._seconds)
            self.missed = f"gave no answer in {self._seconds:g} s"


class _Working(threading.local):
    call: _Call | None = None


_working = _Working()


def end_by(end: Callable[[], None]) -> None:
    """Say how another thread can end what this one is about to wait for; the last word counts.

    Args:
        end: Never blocks; may come too late, or not at all.

    Raises:
        StorageError: ``storage_unavailable``: the deadline of this call is over already.
    """
    if _working.call is not None:
        _working.call.end_by(end)


class StoreThreads:
    """Runs blocking calls away from the loop.

    Args:
        name: Prefix of the threads' names.
        size: How many run at once; more wait their turn.
        turn_seconds: Longest wait for a turn, before the deadline begins; None where the wait
            is part of it.
    """

    def __init__(self, name: str, size: int, *, turn_seconds: float | None = None) -> None:
        self._name = name
        self._turn_seconds = turn_seconds
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._calls: set[_Call] = set()
        self._closed = False

    async def run(
        self, deadline_seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``call`` in a thread, and give it up at the deadline or when we are cancelled.

        A call that waits for anything but a socket it has named (:func:`end_by`) keeps its
        thread until it ends by itself.

        Raises:
            StorageError: ``storage_unavailable`` at the deadline, or when no turn came.
        """
        _, answer = self._start(deadline_seconds, lambda: call(*args, **kwargs))
        return await answer

    async def blocks(
        self, deadline_seconds: float, read: Callable[[], bytes], close: Callable[[], None]
    ) -> AsyncGenerator[bytes, None]:
        """Hand on what ``read`` returns, in a thread each time, until that is nothing.

        Args:
            deadline_seconds: For each reading.
            close: Called at the end, however it comes, and never while a thread still reads, or
                opens what it reads first: a file that is being read makes its closing wait, and
                the loop with it.

        Raises:
            StorageError: ``storage_unavailable`` at the deadline, and what ``read`` raises.
        """
        reading: Future[bytes] | None = None
        try:
            while True:
                reading, answer = self._start(deadline_seconds, read)
                if not (block := await answer):
                    return
                yield block
        finally:
            if reading is None:
                close()
            else:
                reading.add_done_callback(lambda _: close())

    def _start(
        self, deadline_seconds: float, call: Callable[[], T]
    ) -> tuple[Future[T], Coroutine[None, None, T]]:
        state = _Call()
        deadline = _Deadline(deadline_seconds, self._turn_seconds)

        def work() -> T:
            _working.call = state
            try:
                deadline.begin()
                return call()
            finally:
                _working.call = None
                state.done()

        try:
            future = self._pool.submit(work)
        except RuntimeError as error:
            message = f"{self._name} is closed"
            raise StorageError("storage_unavailable", message) from error
        return future, self._answer(deadline, state, future)

    async def _answer(self, deadline: "_Deadline", state: _Call, future: Future[T]) -> T:
        self._calls.add(state)
        try:
            async with deadline.limit:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            message = f"{self._name} {deadline.missed}"
            raise StorageError("storage_unavailable", message) from None
        except asyncio.CancelledError:
            if future.cancelled() and self._closed:
                message = f"{self._name} was closed before its turn came"
                raise StorageError("storage_unavailable", message) from None
            raise
        finally:
            self._calls.discard(state)
            state.give_up()

    def close(self) -> None:
        """Start nothing more, and give up what is under way: no process waits for a store."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for state in tuple(self._calls):
            state.give_up()
