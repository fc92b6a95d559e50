"""One report: what a receiver is told of one step of a call."""

import hashlib
import re
import time
from typing import Final
from uuid import UUID

import msgspec

#: Beginning of the call in ms since 1970, lane, session, step: sorts as it is to be delivered.
NAME: Final = re.compile(r"(\d{13})-([0-9a-f]{16})-([0-9a-f-]{36})-(\d-[a-z]{1,16})\.json")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A request that waits to be made; what it is signed or authorised with is not part of it.

    Attributes:
        key: The same for every try, and for the same report made anew; names what is told.
        method: Of HTTP.
        path: Below the receiver's address, with its leading slash; empty for the address itself.
        body: JSON.
        made_at: Wall clock, seconds since 1970.
    """

    key: str
    method: str
    path: str
    body: str
    made_at: float = msgspec.field(default_factory=time.time)


def file_name(started_at: float, call: str, session_id: str, step: str) -> str:
    """The name of a report's file; the same whenever the same report is made.

    Args:
        started_at: When the call began, wall clock in seconds.
        call: The receiver's name of the call; reports with the same one keep their order.
        session_id: Our UUID.
        step: A digit for its place in the order, a dash and a word, such as ``1-created``.
    """
    lane = hashlib.sha256(call.encode()).hexdigest()[:16]
    started_ms = min(max(round(started_at * 1000), 0), 9_999_999_999_999)
    return f"{started_ms:013d}-{lane}-{UUID(session_id)}-{step}.json"


def lane_of(name: str) -> str | None:
    """Whose order a file keeps; None where it is no report of ours."""
    match = NAME.fullmatch(name)
    return match[2] if match else None


def session_of(name: str) -> str:
    """Our id of the call that a file tells of; the name itself where it is no report of ours."""
    match = NAME.fullmatch(name)
    return match[3] if match else name
