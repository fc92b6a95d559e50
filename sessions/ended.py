"""Calls that have ended: where they were stored, and what is heard of them afterwards."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from loguru import logger

from sessions.index_entries import stored_entry
from sessions.keeper import StoredCall
from sessions.record import CallRecord
from storage.index.entry import IndexedCall

#: Calls that are remembered for quick answers and late notices.
MAX_REMEMBERED = 1000
#: What may be told of one call before it has been stored.
MAX_EARLY_NOTICES = 50

Amend = Callable[[str, str, str], Awaitable[CallRecord]]
Notice = tuple[str, str]
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Ended:
    """What is remembered of a stored call: little, however long it was."""

    entry: IndexedCall
    record_key: str
    notices: frozenset[Notice]

    @classmethod
    def of(cls, record: CallRecord, record_key: str) -> "_Ended":
        notices = frozenset((notice.name, notice.detail) for notice in record.notices)
        return cls(stored_entry(record, record_key), record_key, notices)


class EndedCalls:
    """Remembers a bounded number of ended calls, the latest ones: where each is, not all of it.

    A carrier's last word often comes while the record is being made, or while the store is
    away: it is kept until the record is there, and then added to it.

    Args:
        amend: Adds a notice to the stored record of a key, and returns it.
    """

    def __init__(self, amend: Amend) -> None:
        self._amend = amend
        self._stored: OrderedDict[str, _Ended] = OrderedDict()
        self._unstored: OrderedDict[str, list[Notice]] = OrderedDict()
        self._latest: OrderedDict[str, str] = OrderedDict()
        self._amending: set[asyncio.Task[None]] = set()

    def expect(self, session_id: str, carrier_call_id: str | None) -> None:
        """A call will be stored; from now on no notice of it is lost.

        Said when it begins, so that nothing falls between its last event and its end.
        """
        _remember(self._unstored, session_id, [])
        if carrier_call_id:
            _remember(self._latest, carrier_call_id, session_id)

    def stored(self, call: StoredCall) -> None:
        """A call has been stored, now or long after its end."""
        record = call.record
        session_id, carrier_call_id = record.session_id, record.carrier_call_id
        _remember(self._stored, session_id, _Ended.of(record, call.record_key))
        if carrier_call_id and carrier_call_id not in self._latest:
            _remember(self._latest, carrier_call_id, session_id)
        for name, detail in self._unstored.pop(session_id, ()):
            self._add(session_id, name, detail)

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
        waiting = self._unstored.get(session_id)
        if waiting is not None:
            if (name, detail) not in waiting and len(waiting) < MAX_EARLY_NOTICES:
                waiting.append((name, detail))
            return True
        if session_id not in self._stored:
            return False
        self._add(session_id, name, detail)
        return True

    async def settled(self) -> None:
        """Wait until every notice has been added, or could not be."""
        while self._amending:
            await asyncio.wait(self._amending)

    def _add(self, session_id: str, name: str, detail: str) -> None:
        if (name, detail) in self._stored[session_id].notices:
            return
        task = asyncio.create_task(self._amended(session_id, name, detail), name="record-amend")
        self._amending.add(task)
        task.add_done_callback(self._amending.discard)

    async def _amended(self, session_id: str, name: str, detail: str) -> None:
        record_key = self._stored[session_id].record_key
        try:
            record = await self._amend(record_key, name, detail)
        # Nobody waits for this: whatever the store says is told here or nowhere.
        except Exception as error:
            logger.warning(f"call {session_id}: a late notice was not added: {error}")
            return
        if session_id in self._stored:
            self._stored[session_id] = _Ended.of(record, record_key)


def _remember(calls: "OrderedDict[str, _Value]", key: str, value: "_Value") -> None:
    calls[key] = value
    calls.move_to_end(key)
    while len(calls) > MAX_REMEMBERED:
        calls.popitem(last=False)
