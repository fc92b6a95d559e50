"""Delivers the reports of one receiver: oldest first, each call's in their order, for ever.

A receiver that is away is tried again with pauses that grow and vary; the first success after
that brings everything forward. One report that fails while others are taken holds up only those
of its own call. What is refused for good is put aside.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
from loguru import logger

from config.errors import StorageError, VoiceServerError
from sessions.journal_seal import JournalKeyError
from sessions.outbox.folder import ReportFolder
from sessions.outbox.known import KnownReports
from sessions.outbox.report import Report, session_of

T = TypeVar("T")


class DeliveryError(VoiceServerError):
    """A receiver has not taken a report.

    Args:
        code: A label for metrics; one of few.
        final: It never will take this one.
        after_seconds: When to try again, where the receiver has said so.
    """

    def __init__(
        self, code: str, message: str, *, final: bool = False, after_seconds: float | None = None
    ) -> None:
        super().__init__(code, message)
        self.final = final
        self.after_seconds = after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CourierOptions:
    """How hard a courier works.

    Attributes:
        parallel: Deliveries at once, each of another call; one while the receiver fails.
        attempt_seconds: Longest that one may take.
        first_pause_seconds: After a first failure; each further pause is twice as long.
        longest_pause_seconds: Pauses grow no longer; also bounds what a receiver may ask for.
        rescan_seconds: How often the folder is looked at for what was put there by hand.
        most_in_memory: Names that are kept in memory; the rest is on disk alone.
        alert_seconds: A report that waits longer is worth an error in the log.
        repeat_alert_seconds: And again after so long.
    """

    parallel: int = 4
    attempt_seconds: float = 30.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0
    rescan_seconds: float = 300.0
    most_in_memory: int = 1000
    alert_seconds: float = 900.0
    repeat_alert_seconds: float = 3600.0


Deliver = Callable[[Report], Awaitable[None]]
OnAttempt = Callable[[str], None]


class Courier:
    """Sees to the reports of one receiver; used from the loop's thread.

    Args:
        receiver: Its name in log lines; holds no secret.
        folder: Where its reports wait.
        deliver: Makes one try; raises :class:`DeliveryError`.
        pool: One thread for everything that happens on this disk, so that what is seen of the
            folder and what is known here never disagree.
        on_attempt: Told how each try ended: ``delivered``, ``rejected`` or an error's code.
    """

    def __init__(
        self,
        receiver: str,
        folder: ReportFolder,
        deliver: Deliver,
        pool: Executor,
        *,
        options: CourierOptions | None = None,
        on_attempt: OnAttempt = lambda outcome: None,
    ) -> None:
        self.receiver = receiver
        self.folder = folder
        self._deliver = deliver
        self._pool = pool
        self._options = options or CourierOptions()
        self._on_attempt = on_attempt
        self._known = KnownReports(self._options.most_in_memory)
        self._working: dict[str, asyncio.Task[None]] = {}
        self._failures = 0
        self._due = 0.0
        self._scanned = float("-inf")
        self._alerted = float("-inf")
        self._last_error: str | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many reports wait, those under way included, and those whose key is not known."""
        return self._known.count + len(self._known.locked)

    @property
    def unknown_keys(self) -> Counter[str]:
        """Names of keys that are not known here, and how many reports are sealed with each."""
        return Counter(self._known.locked.values())

    @property
    def last_error(self) -> str | None:
        """Why the receiver takes nothing at present; None where it does."""
        return self._last_error

    def oldest_seconds(self) -> float:
        """How long the first of them has waited."""
        written_at = self._known.oldest()
        return 0.0 if written_at is None else max(0.0, time.time() - written_at)

    async def start(self) -> None:
        """Take up what an earlier process left, and go on in the background."""
        try:
            await self._in_thread(self.folder.clear_parts)
            await self._scan()
        except OSError as error:  # The server serves without; it is looked at again later.
            logger.error("reports for {} cannot be looked at: {}", self.receiver, error)
        if self._known.count:
            logger.info("{} reports wait for {} from before", self._known.count, self.receiver)
        self._task = asyncio.create_task(self._work_for_ever(), name=f"courier-{self.receiver}")

    async def close(self, seconds: float) -> None:
        """Go on for a moment while the receiver takes what there is; then leave it on disk."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._task is not None and self._known.count and not self._failures:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        tasks = [*self._working.values(), *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None

    def added(self, name: str, *, is_new: bool) -> None:
        """A report has been put into the folder."""
        if is_new:
            self._known.added(name, time.time())
            self._wake.set()

    async def _scan(self) -> None:
        known = self._known
        known.found(await self._in_thread(self.folder.look, known.most, frozenset(known.locked)))
        self._scanned = self._now()

    # -- work ---------------------------------------------------------------------------

    async def _work_for_ever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._look_again()
                self._alert()
                self._begin_due(self._now())
            # The disk may fail for a while; reports that are told of meanwhile stay there.
            except OSError as error:
                logger.warning("reports for {} cannot be looked at: {}", self.receiver, error)
                await asyncio.sleep(self._options.longest_pause_seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause(self._now())):
                    await self._wake.wait()

    async def _look_again(self) -> None:
        is_time = self._now() - self._scanned >= self._options.rescan_seconds
        if is_time or self._known.is_exhausted:
            await self._scan()

    def _begin_due(self, now: float) -> None:
        if now < self._due:
            return
        slots = (1 if self._failures else self._options.parallel) - len(self._working)
        free = [
            (lane.names[0], key)
            for key, lane in self._known.lanes.items()
            if lane.due <= now and key not in self._working
        ]
        for name, key in sorted(free)[: max(0, slots)]:
            task = asyncio.create_task(self._attempt(key, name), name=f"report-{name[:30]}")
            self._working[key] = task
            task.add_done_callback(partial(self._done, key))

    def _done(self, key: str, task: "asyncio.Task[None]") -> None:
        self._working.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(key, "crashed", f"{type(error).__name__}: {error}", None)
        self._wake.set()

    def _pause(self, now: float) -> float:
        dues = [lane.due for key, lane in self._known.lanes.items() if key not in self._working]
        until = max(self._due, min(dues)) if dues else float("inf")
        if len(self._working) >= (1 if self._failures else self._options.parallel):
            until = float("inf")  # The end of any of them wakes us.
        return max(0.001, min(until - now, self._options.rescan_seconds, 60.0))

    async def _attempt(self, key: str, name: str) -> None:
        try:
            report = await self._in_thread(self.folder.read, name)
        except FileNotFoundError:
            self._known.forget(key, name)
            return
        except JournalKeyError as error:
            # Keys are read at the start: until another, it waits and holds nobody up.
            self._known.lock(key, name, error.key_name)
            logger.warning(
                "call {}: a report for {} waits for its key: {}",
                *(session_of(name), self.receiver, error.message),
            )
            return
        except (msgspec.MsgspecError, StorageError) as error:
            await self._reject(key, name, f"not readable: {type(error).__name__}")
            return
        try:
            async with asyncio.timeout(self._options.attempt_seconds):
                await self._deliver(report)
        except DeliveryError as error:
            if error.final:
                await self._reject(key, name, error.message)
            else:
                self._failed(key, error.code, error.message, error.after_seconds)
        except TimeoutError:
            message = f"no answer within {self._options.attempt_seconds:g} s"
            self._failed(key, "timeout", message, None)
        else:
            await self._in_thread(self.folder.remove, name)
            self._on_attempt("delivered")
            self._known.forget(key, name)
            self._taken(key)

    async def _reject(self, key: str, name: str, reason: str) -> None:
        await self._in_thread(self.folder.reject, name, reason)
        self._on_attempt("rejected")
        logger.warning(
            "call {}: {} refuses a report for good, put aside: {}",
            *(session_of(name), self.receiver, reason),
        )
        self._known.forget(key, name)
        self._taken(key)

    def _taken(self, key: str) -> None:
        """The receiver has answered: it is there."""
        if key in self._known.lanes:
            self._known.lanes[key].tries = 0
        # More than one failure in a row was an outage, not one report that nobody can take.
        if self._failures > 1:
            logger.info("{} takes reports again; {} wait", self.receiver, self._known.count)
            for lane in self._known.lanes.values():
                lane.due = 0.0
        self._failures, self._due, self._last_error = 0, 0.0, None

    def _failed(self, key: str, code: str, message: str, after_seconds: float | None) -> None:
        self._on_attempt(code)
        # The first failure is news, the hundredth is not.
        level = "DEBUG" if self._failures else "WARNING"
        lane = self._known.lanes.get(key)
        call = session_of(lane.names[0]) if lane is not None else "unknown"
        logger.log(
            level, "call {}: a report waits for {}: {}: {}", call, self.receiver, code, message
        )
        now = self._now()
        self._last_error = code
        self._due = now + self._pause_after(self._failures, after_seconds)
        self._failures += 1
        if lane is not None:
            lane.due = now + self._pause_after(lane.tries, after_seconds)
            lane.tries += 1

    def _pause_after(self, tries: int, after_seconds: float | None) -> float:
        longest = self._options.longest_pause_seconds
        pause = min(self._options.first_pause_seconds * 2.0 ** min(tries, 20), longest)
        pause *= random.uniform(0.5, 1.5)
        return max(pause, min(after_seconds or 0.0, longest))

    def _alert(self) -> None:
        age, now = self.oldest_seconds(), self._now()
        if age < self._options.alert_seconds:
            return
        if now - self._alerted >= self._options.repeat_alert_seconds:
            self._alerted = now
            logger.error(
                "ALERT: {} reports wait for {}, the oldest for {:.0f} min: {}",
                self._known.count,
                self.receiver,
                age / 60,
                self._last_error or "not tried yet",
            )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
