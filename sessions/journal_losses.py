"""What a journal has lost by the time it is finished, as its call's record is to say it."""

from pathlib import Path

from bot.events import CallEnded, CallEvent, Degraded
from sessions.journal_format import MEDIA_NAME, FileDamage
from sessions.journal_state import read_state

#: Kinds of the ``Degraded`` events; the first is also written by the call itself.
INCOMPLETE = "recording_incomplete"
DAMAGED = "recording_damaged"
EVENTS_DAMAGED = "events_damaged"
#: A kill tears off what one flush was writing (60 ms, both legs) and no more.
_LONGEST_TORN_BYTES = 64 * 1024


def losses(
    folder: Path, events: list[CallEvent], media: FileDamage, lines: FileDamage
) -> list[CallEvent]:
    """Events that say what is missing and no event says yet.

    Args:
        media: What of the media file could not be read.
        lines: What of the events could not be.
    """
    state = read_state(folder)
    at_ms = events[-1].at_ms if events else 0.0
    found: list[CallEvent] = []
    if lost := _lost_sound(folder, media, state.media_bytes, _has_ended(events)):
        detail = f"{lost} bytes of the journal's sound could not be read"
        found.append(_degraded(at_ms, DAMAGED, detail))
    if lines.lost_bytes or (lines.torn_bytes and _has_ended(events)):
        lost = lines.lost_bytes + lines.torn_bytes
        detail = f"{lost} bytes of the journal's events could not be read"
        found.append(_degraded(at_ms, EVENTS_DAMAGED, detail))
    if state.failing and not any(
        isinstance(event, Degraded) and event.stage == "journal" for event in events
    ):
        detail = "the disk had not taken all of the call when the server died"
        found.append(_degraded(at_ms, INCOMPLETE, detail))
    return found


def is_recording_complete(events: list[CallEvent]) -> bool:
    """Whether no event tells of sound that was lost."""
    return not any(
        isinstance(event, Degraded) and event.stage == "journal" and event.kind != EVENTS_DAMAGED
        for event in events
    )


def _lost_sound(folder: Path, media: FileDamage, closed_bytes: int, has_ended: bool) -> int:
    lost = media.lost_bytes
    if has_ended or closed_bytes or media.torn_bytes > _LONGEST_TORN_BYTES:
        lost += media.torn_bytes
    try:
        size = (folder / MEDIA_NAME).stat().st_size
    except FileNotFoundError:
        size = 0
    return lost + max(0, closed_bytes - size)


def _has_ended(events: list[CallEvent]) -> bool:
    return any(isinstance(event, CallEnded) for event in events)


def _degraded(at_ms: float, kind: str, detail: str) -> Degraded:
    return Degraded(at_ms=at_ms, stage="journal", kind=kind, provider=None, detail=detail)
