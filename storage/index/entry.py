"""One row of the index of calls, and what rows can be asked for."""

from dataclasses import dataclass
from typing import Final, Literal

CallState = Literal["live", "ended", "stored", "lost"]

#: How far a call has come; a row is never overwritten by one that knows less.
VERSIONS: Final[dict[CallState, int]] = {"live": 1, "ended": 2, "lost": 3, "stored": 4}
#: Of a stored call whose person was taken out: what another process has not written yet, and
#: still names the number, never takes its place.
ERASED_VERSION: Final = 5

#: Longest id, number or key that is kept; a longer one is cut.
MAX_TEXT_CHARS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedCall:
    """What the index keeps of a call; everything here can be made again from its record.

    Attributes:
        session_id: Our own UUID.
        from_number: E.164 where it is a telephone number, else as the carrier wrote it.
        started_at_ms: Wall clock, in ms since 1970 (UTC); never changes.
        status: ``live``; ``ended`` (its parts are not in the store yet); ``stored``; ``lost``
            (it was live or ended when its server died, and nothing of it was found).
        end_cause: One of ``bot.events.END_CAUSES``, None while it is live.
        recording_key: Of the kind ``recordings``; the other keys are of ``transcripts``.
        server_id: Which server holds it, until it is stored.
        erased: Stored, and what tells of the person was taken out.
    """

    session_id: str
    agent_id: str
    direction: str
    started_at_ms: int
    status: CallState
    carrier_call_id: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    ended_at_ms: int | None = None
    end_cause: str | None = None
    recording_key: str | None = None
    transcript_key: str | None = None
    record_key: str | None = None
    server_id: str | None = None
    erased: bool = False

    @property
    def version(self) -> int:
        """See :data:`VERSIONS`."""
        return ERASED_VERSION if self.erased else VERSIONS[self.status]

    @property
    def place(self) -> "Place":
        """Where it stands among all calls."""
        return Place(self.started_at_ms, self.session_id)


def plain(text: str | None) -> str | None:
    """``text`` as every database takes it: a carrier may have put anything into its ids."""
    if text is None:
        return None
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:MAX_TEXT_CHARS] or None


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the order of calls; new calls come after all others, so none moves."""

    started_at_ms: int
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are wanted; None asks for nothing.

    Attributes:
        number: Either side of the call, as it stands in the index.
        started_from_ms: The first instant that counts.
        started_before_ms: The first that no longer does.
    """

    agent_id: str | None = None
    number: str | None = None
    started_from_ms: int | None = None
    started_before_ms: int | None = None
    status: CallState | None = None
    end_cause: str | None = None
