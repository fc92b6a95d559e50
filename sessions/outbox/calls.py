"""Tells every receiver of every call: when it begins, when it ends, when it is stored.

A sink of call events. What it is given it turns into reports and hands to the writer; it never
blocks a call and never fails one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from loguru import logger

from bot.events import CallEnded, CallEvent, CallStarted
from config.agent import AgentConfig
from sessions.facts import CallFacts
from sessions.journal_format import JournalHeader
from sessions.journal_seal import JournalKey
from sessions.keeper import StoredCall
from sessions.outbox.courier import Courier, CourierOptions
from sessions.outbox.folder import ReportFolder
from sessions.outbox.receiver import Draft, Receiver
from sessions.outbox.report import file_name
from sessions.outbox.told import (
    CallEnd,
    ToldCall,
    call_of_header,
    call_of_record,
    end_of_header,
    end_of_record,
)
from sessions.outbox.writer import Addressed, ReportWriter, Step, StepName
from sessions.transcript import wall_clock

#: So many reports wait: from here on, calls that found the line busy are not told.
MAX_BUSY_WAITING = 100_000
_MARKS = "told"

OnAttempt = Callable[[str, str], None]


class CallReports:
    """All receivers and their reports.

    Args:
        folder: Where reports wait; made when the first is written.
        receivers: Whom to tell; none makes every method do nothing.
        options: How hard each courier works.
        on_attempt: Told the receiver's kind and how each try ended.
        key: Seals reports on disk, where given.
    """

    def __init__(
        self,
        folder: Path,
        receivers: Iterable[Receiver],
        *,
        options: CourierOptions | None = None,
        on_attempt: OnAttempt = lambda kind, outcome: None,
        key: JournalKey | None = None,
    ) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._writer = ReportWriter(folder / _MARKS, self._pool)
        self._forgetting: set[asyncio.Task[None]] = set()
        self._receivers = tuple(receivers)
        self._couriers = {
            receiver.folder: Courier(
                receiver.name,
                ReportFolder(folder / receiver.folder, key),
                receiver.deliver,
                self._pool,
                options=options,
                on_attempt=partial(on_attempt, receiver.kind),
            )
            for receiver in self._receivers
        }

    async def start(self) -> None:
        """Go on with what an earlier process left, and be ready for calls."""
        with suppress(OSError):
            await asyncio.get_running_loop().run_in_executor(self._pool, self._tell_of_strays)
        if self._receivers:
            await self._writer.start()
        for courier in self._couriers.values():
            await courier.start()

    async def close(self, seconds: float = 3.0) -> None:
        """Write what was told, deliver what goes quickly; the rest waits for the next start."""
        await self._writer.close(seconds)
        await asyncio.gather(*(courier.close(seconds) for courier in self._couriers.values()))
        if self._forgetting:
            await asyncio.wait(self._forgetting, timeout=seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- what happens -------------------------------------------------------------------

    def event(self, header: JournalHeader, event: CallEvent) -> None:
        """An event of a live call; only its beginning and its end are told."""
        if not self._receivers or not isinstance(event, (CallStarted, CallEnded)):
            return
        call = call_of_header(header)
        end = None
        if isinstance(event, CallEnded):
            end = end_of_header(header, event.at_ms, event.cause)
        # The beginning goes along with the end, in case it could not be written in time.
        self._writer.offer(call.session_id, self._steps(call, end))

    async def call_stored(self, stored: StoredCall) -> None:
        """A call's parts are safe, its journal still there: put down what is still to be told.

        Raises:
            StorageError: That could not be written; it has to be said again.
        """
        if not self._receivers:
            return
        call, end = call_of_record(stored.record), end_of_record(stored.record)
        ready = self._step("stored", call, lambda to: to.stored(call, end, stored))
        await self._writer.write(call.session_id, [*self._steps(call, end), ready])

    def call_safe(self, stored: StoredCall) -> None:
        """A call's journal is gone: nothing of it will be told again."""
        if self._receivers:
            task = asyncio.create_task(
                self._writer.forget(stored.record.session_id), name="outbox-forget"
            )
            self._forgetting.add(task)
            task.add_done_callback(self._forgetting.discard)

    def busy(self, agent: AgentConfig, facts: CallFacts, at: float) -> None:
        """A call for which there was no line.

        Args:
            at: Wall clock, seconds since 1970.
        """
        call_id = facts.carrier_call_id
        if not self._receivers or not call_id or self.waiting() >= MAX_BUSY_WAITING:
            return
        call = ToldCall(
            session_id=str(uuid5(NAMESPACE_URL, f"busy:{call_id}")),
            carrier_call_id=call_id,
            agent_id=agent.agent_id,
            agent_name=agent.title,
            direction=facts.direction,
            from_number=facts.from_number,
            to_number=facts.to_number,
            started_at=wall_clock(at),
            labels=agent.metadata,
        )
        step = replace(self._step("busy", call, lambda to: to.busy(call)), once=False)
        self._writer.offer(call.session_id, [step])

    # -- figures ------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Times that something of a live call had to wait until it was stored."""
        return self._writer.dropped

    def waiting(self) -> int:
        """How many reports wait."""
        return sum(courier.waiting for courier in self._couriers.values())

    def waiting_by_kind(self) -> dict[str, tuple[int, float]]:
        """Kind of receiver to how many reports wait and how long the first of them has."""
        counts: Counter[str] = Counter()
        ages: dict[str, float] = {}
        for receiver in self._receivers:
            courier = self._couriers[receiver.folder]
            counts[receiver.kind] += courier.waiting
            ages[receiver.kind] = max(ages.get(receiver.kind, 0.0), courier.oldest_seconds())
        return {kind: (counts[kind], age) for kind, age in ages.items()}

    def troubles(self) -> dict[str, str]:
        """Receivers that take nothing at present, and why."""
        couriers = self._couriers.values()
        return {each.receiver: each.last_error for each in couriers if each.last_error}

    @property
    def unknown_keys(self) -> Counter[str]:
        """Names of keys that are not known here, and how many reports are sealed with each."""
        found: Counter[str] = Counter()
        for courier in self._couriers.values():
            found += courier.unknown_keys
        return found

    # -- making them --------------------------------------------------------------------

    def _steps(self, call: ToldCall, end: CallEnd | None) -> list[Step]:
        steps = [self._step("started", call, lambda to: to.started(call))]
        if end is not None:
            steps.append(self._step("ended", call, lambda to: to.ended(call, end)))
        return steps

    def _step(
        self, name: StepName, call: ToldCall, said: Callable[[Receiver], Sequence[Draft]]
    ) -> Step:
        reports = tuple(
            Addressed(
                courier=self._couriers[receiver.folder],
                name=file_name(call.started_seconds, call.call_id, call.session_id, draft.step),
                report=draft.report,
            )
            for receiver in self._receivers
            for draft in said(receiver)
        )
        return Step(name=name, reports=reports)

    def _tell_of_strays(self) -> None:
        """Reports for a receiver that the settings no longer name wait for nobody."""
        known = {*self._couriers, _MARKS}
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name not in known and folder.is_dir():
                count = ReportFolder(folder).look(1).count
                if count:
                    logger.warning(
                        "{} reports wait in {} for a receiver that is no longer in the settings; "
                        "name it again, or delete them",
                        count,
                        folder,
                    )
