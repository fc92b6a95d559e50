"""Calls that have ended: where they were stored, and what is heard of them afterwards."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from loguru import logger

from config.errors import StorageError
from sessions import metrics
from sessions.index_entries import stored_entry
from sessions.keeper import StoredCall
from sessions.record import CallRecord
from sessions.waiting import Backoff
from storage.index.entry import IndexedCall

#: Stored calls that are remembered for quick answers and late notices.
MAX_REMEMBERED = 1000
#: Calls that are not stored yet, live ones too: while the store is away they all wait.
MAX_UNSTORED = 10_000
#: What may have been told and be in no record yet, of one call and of all.
MAX_NOTICES_OF_CALL = 50
MAX_NOTICES = 10_000

Amend = Callable[[str, str, str], Awaitable[CallRecord]]
Notice = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Unstored:
    """A call whose record is still to come, and what was told of it."""

    carrier_call_id: str | None
    notices: list[Notice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Late:
    """What is still to be added to a stored record."""

    record_key: str
    notices: list[Notice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ended:
    """What is remembered of a stored call: little, however long it was."""

    entry: IndexedCall
    carrier_call_id: str | None
    record_key: str
    notices: frozenset[Notice]

    @classmethod
    def of(cls, record: CallRecord, record_key: str) -> "_Ended":
        notices = frozenset((notice.name, notice.detail) for notice in record.notices)
        return cls(stored_entry(record, record_key), record.carrier_call_id, record_key, notices)


class EndedCalls:
    """Remembers a bounded number of ended calls, the latest ones: where each is, not all of it.

    A carrier's last word often comes while the record is being made, or while the store is
    away: it is kept until the record is there and takes it. What the store does not take is
    tried again with growing pauses, one notice at a time; its first success brings the others.

    Args:
        amend: Adds a notice to the stored record of a key, and returns it.
        backoff: Pauses while the store is away.
    """

    def __init__(self, amend: Amend, backoff: Backoff | None = None) -> None:
        self._amend = amend
        self._backoff = backoff or Backoff()
        self._stored: OrderedDict[str, _Ended] = OrderedDict()
        self._unstored: OrderedDict[str, _Unstored] = OrderedDict()
        self._late: OrderedDict[str, _Late] = OrderedDict()
        #: Notices in the two above.
        self._kept = 0
        self._latest: dict[str, str] = {}
        self._adding: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._failures = 0

    def expect(self, session_id: str, carrier_call_id: str | None) -> None:
        """A call will be stored; from now on no notice of it is lost.

        Said when it begins, so that nothing falls between its last event and its end.
        """
        self._unstored[session_id] = _Unstored(carrier_call_id)
        if carrier_call_id:
            self._latest[carrier_call_id] = session_id
        while len(self._unstored) > MAX_UNSTORED:
            gone_id, gone = self._unstored.popitem(last=False)
            self._forget(gone_id, gone.carrier_call_id)
            self._kept -= len(gone.notices)
            # Of a call that nothing was told of yet, its last word is lost.
            for _ in range(max(1, len(gone.notices))):
                metrics.dropped("notices")

    def stored(self, call: StoredCall) -> None:
        """A call has been stored, now or long after its end."""
        record = call.record
        session_id, carrier_call_id = record.session_id, record.carrier_call_id
        self._stored[session_id] = _Ended.of(record, call.record_key)
        self._stored.move_to_end(session_id)
        if carrier_call_id:
            self._latest.setdefault(carrier_call_id, session_id)
        early = self._unstored.pop(session_id, None)
        if early is not None:
            self._kept -= len(early.notices)
            for told in early.notices:
                self._add(session_id, told)
        while len(self._stored) > MAX_REMEMBERED:
            gone_id, gone = self._stored.popitem(last=False)
            self._forget(gone_id, gone.carrier_call_id)

    def find(self, call_id: str) -> IndexedCall | None:
        """A stored call by our id or the carrier's; the latest where there are several."""
        ended = self._stored.get(self._latest.get(call_id, call_id))
        return ended.entry if ended is not None else None

    def notice(self, call_id: str, name: str, detail: str) -> bool:
        """Add what a carrier told late to the call's record, once.

        Returns:
            False where no such call is remembered.
        """
        session_id = self._latest.get(call_id, call_id)
        if (unstored := self._unstored.get(session_id)) is not None:
            self._keep(unstored.notices, (name, detail))
            return True
        if session_id not in self._stored:
            return False
        self._add(session_id, (name, detail))
        return True

    async def settled(self) -> None:
        """Wait until every notice has been added, or one has been tried once more in vain."""
        if self._late:
            self._begin()
        while self._adding is not None and not self._adding.done():
            await asyncio.wait({self._adding})

    def _keep(self, notices: list[Notice], told: Notice) -> None:
        if told in notices:
            return
        if len(notices) >= MAX_NOTICES_OF_CALL or self._kept >= MAX_NOTICES:
            metrics.dropped("notices")
            return
        notices.append(told)
        self._kept += 1

    def _add(self, session_id: str, told: Notice) -> None:
        ended = self._stored[session_id]
        if told in ended.notices:
            return
        late = self._late.setdefault(session_id, _Late(ended.record_key))
        self._keep(late.notices, told)
        if self._again is None:
            self._begin()

    def _begin(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._adding is None or self._adding.done():
            self._adding = asyncio.create_task(self._add_late(), name="record-amend")

    async def _add_late(self) -> None:
        while self._late:
            session_id, late = next(iter(self._late.items()))
            while late.notices:
                try:
                    await self._add_one(session_id, late.record_key, *late.notices[0])
                except StorageError as error:
                    self._put_off(session_id, error)
                    return
                del late.notices[0]
                self._kept -= 1
                self._failures = 0
            del self._late[session_id]

    async def _add_one(self, session_id: str, record_key: str, name: str, detail: str) -> None:
        """Add a notice, unless there is nothing that could take it.

        Raises:
            StorageError: Not now.
        """
        try:
            record = await self._amend(record_key, name, detail)
        except StorageError as error:
            if error.code != "storage_not_found":
                raise
            logger.info("call {}: its record was deleted before a late notice", session_id)
        # Nobody waits for this: whatever is wrong with a record is told here or nowhere.
        except Exception as error:
            metrics.dropped("notices")
            logger.warning("call {}: a late notice was not added: {}", session_id, error)
        else:
            if session_id in self._stored:
                self._stored[session_id] = _Ended.of(record, record_key)

    def _put_off(self, session_id: str, error: StorageError) -> None:
        # The first failure is news, the hundredth is not.
        level = "DEBUG" if self._failures else "WARNING"
        logger.log(level, "call {}: a late notice waits for the store: {}", session_id, error)
        # The next try is another call's: there may be something wrong with this one.
        self._late.move_to_end(session_id)
        pause = self._backoff.pause(self._failures)
        self._again = asyncio.get_running_loop().call_later(pause, self._begin)
        self._failures += 1

    def _forget(self, session_id: str, carrier_call_id: str | None) -> None:
        if carrier_call_id and self._latest.get(carrier_call_id) == session_id:
            del self._latest[carrier_call_id]
