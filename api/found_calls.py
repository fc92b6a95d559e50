"""The calls that a request is about, and what it is told where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, Path

from api.access import Operator
from api.parts import Parts
from config.errors import StorageError
from sessions.lookup import CallLookup
from sessions.session import CallSession
from storage.index.entry import IndexedCall

CallId = Annotated[
    str, Path(min_length=1, max_length=256, description="Our id of the call, or the carrier's.")
]

#: Error code to status and, where asking again helps, after how many seconds.
_ANSWERS: Final[dict[str, tuple[int, int | None]]] = {
    "call_live": (409, 5),
    "call_not_ready": (409, 2),
    "call_elsewhere": (409, 10),
    "carrier_pending": (409, 30),
    "nothing_kept": (404, None),
    "kept_no_more": (410, None),
    "storage_not_found": (404, None),
    "storage_unavailable": (503, 10),
    "index_unavailable": (503, 5),
    "index_missing": (503, 5),
    "index_corrupt": (503, 10),
}
#: What an operator has to mend: permissions, a damaged record, an index of a newer server.
_OTHERWISE: Final = (503, 30)
#: For the description of the doors.
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "No token of the kind `calls`"},
    404: {"description": "No such call, or none that the token may see"},
    503: {"description": "The index or the store does not answer; see `Retry-After`"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCall:
    """A call that whoever asks may see.

    Attributes:
        call: The latest of that id.
        others: Older ones with the same id of the carrier.
        session: Where it is live here.
    """

    lookup: CallLookup
    call: IndexedCall
    others: list[IndexedCall]
    session: CallSession | None

    @property
    def state(self) -> str:
        """The session's state, or the call's status."""
        return self.session.state if self.session else self.call.status


@contextmanager
def told_as_http() -> Iterator[None]:
    """Answer what the store or the index says with the status that says so."""
    try:
        yield
    except StorageError as error:
        status, retry_seconds = _ANSWERS.get(error.code, _OTHERWISE)
        headers = {"Retry-After": str(retry_seconds)} if retry_seconds else None
        # Where there is no such part, and where the store has lost it, is the same to who asks.
        message = "it is not kept any more" if error.code == "storage_not_found" else error.message
        raise HTTPException(status, message, headers) from error


async def _find(call_id: CallId, parts: Parts, viewer: Operator) -> FoundCall:
    lookup = parts.lookup
    with told_as_http():
        found = await lookup.find(call_id)
    # Another agent's call is as good as none: a token says nothing about which calls there are.
    found = [call for call in found if viewer.may_talk_to(call.agent_id)]
    if not found:
        raise HTTPException(404, "there is no call of that id")
    return FoundCall(
        lookup=lookup, call=found[0], others=found[1:], session=lookup.session(found[0])
    )


Found = Annotated[FoundCall, Depends(_find)]
