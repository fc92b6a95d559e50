"""An event loop whose clock jumps: a minute of a call passes in a test's instant.

Whenever nothing is ready to run, time leaps to the next timer. Work in threads is waited for
in real time, during which the clock stands still; sockets are served as on any loop.
"""

import asyncio
import functools
import inspect
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

#: A test that would wait for ever fails at this virtual time.
MAX_SECONDS = 24 * 3600.0
#: ... or when nothing has come from threads and sockets for so long: a thread may import a
#: vendor's package on a busy machine.
MAX_REAL_SECONDS = 60.0


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.in_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Events that are there; none after the clock has moved on by ``timeout``."""
        if timeout is None or self.in_threads:
            # Only a thread or a socket can go on: wait for it, for real.
            events = super().select(MAX_REAL_SECONDS if timeout is None else min(timeout, 0.01))
            if timeout is None and not events:
                raise RuntimeError("nothing is left to wait for: the test hangs")
            return events
        events = super().select(0)
        if not events and timeout > 0:
            self.now += timeout
            if self.now > MAX_SECONDS:
                raise RuntimeError("the test hangs: a day has passed")
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now

    def stall(self, seconds: float) -> None:
        """Let time pass while the loop is busy, as a blocking call would."""
        self._jumping.now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        """Stop the clock while a thread works."""
        self._jumping.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: object) -> None:
        self._jumping.in_threads -= 1


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a :class:`VirtualLoop`; a task it leaves behind fails it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        problems: list[str] = []
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.get_loop().set_exception_handler(
                lambda _loop, context: problems.append(str(context))
            )
            runner.run(_without_leaks(test(*args, **kwargs)))
        assert problems == []

    # pytest would take the wrapped coroutine function for an asyncio test of its own.
    del run.__wrapped__
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run


async def _without_leaks(test: Coroutine[Any, Any, None]) -> None:
    await test
    await asyncio.sleep(0)
    me = asyncio.current_task()
    left = [task.get_name() for task in asyncio.all_tasks() if task is not me]
    assert left == [], f"tasks left behind: {left}"


def running_loop() -> VirtualLoop:
    """The loop of the running test."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
