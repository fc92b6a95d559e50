"""What VoiceERA's backend keeps of calls, and what it accepts of them.

Wire facts: VoiceERA's FastAPI backend, June 2026. A meeting is an upsert by ``meeting_id``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple


class Field(NamedTuple):
    """What a field of a body must be."""

    type: type | tuple[type, ...]
    required: bool = False
    is_time: bool = False


_TEXT: Final = Field(str)
_TIME: Final = Field(str, is_time=True)

MEETING: Final[Mapping[str, Field]] = {
    "meeting_id": Field(str, required=True),
    "agent_type": Field(str, required=True),
    "org_id": _TEXT,
    "start_time_utc": _TIME,
    "end_time_utc": _TIME,
    "inbound": Field(bool),
    "from_number": _TEXT,
    "to_number": _TEXT,
    "created_at": _TIME,
    "call_busy": Field(bool),
}
MEETING_END: Final[Mapping[str, Field]] = {"end_time_utc": Field(str, required=True, is_time=True)}
CALL_RECORDING: Final[Mapping[str, Field]] = {
    "call_sid": Field(str, required=True),
    "recording_url": _TEXT,
    "transcript_url": Field(str, required=True),
    "transcript_content": _TEXT,
    "agent_type": Field(str, required=True),
    "call_duration": Field((float, int)),
    "end_time_utc": _TIME,
    "org_id": _TEXT,
    "latency_metrics": Field(dict),
}


def problems_of(body: Mapping[str, Any], fields: Mapping[str, Field]) -> Iterator[tuple[str, str]]:
    """Field and what is wrong with it, in FastAPI's words where it has some."""
    for name, wanted in fields.items():
        value = body.get(name)
        if name not in body:
            if wanted.required:
                yield name, "Field required"
        elif not isinstance(value, wanted.type):
            yield name, "Input should be of another type"
        elif wanted.required and value == "":
            yield name, "Input should not be empty"
        elif wanted.is_time and value and not _is_time(str(value)):
            yield name, "Input should be a time in ISO 8601 with its offset"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() is not None
    except ValueError:
        return False


@dataclass(slots=True)
class Calls:
    """Everything that was told of calls.

    Attributes:
        meetings: By ``meeting_id``, as they stand.
        recordings: By ``call_sid``, as they stand.
        told: Route and call of every report that was taken, in order.
        keys: The ``Idempotency-Key`` of each of these.
    """

    meetings: dict[str, dict[str, Any]] = field(default_factory=dict)
    recordings: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def meet(self, body: dict[str, Any], key: str) -> None:
        """``POST /meetings``."""
        meeting_id = body["meeting_id"]
        self.meetings[meeting_id] = {**self.meetings.get(meeting_id, {}), **body}
        self._note("created", meeting_id, key)

    def end(self, meeting_id: str, at: str, key: str) -> dict[str, Any] | None:
        """``PATCH /meetings/{id}``; None where there is no such meeting."""
        meeting = self.meetings.get(meeting_id)
        if meeting is not None:
            meeting["end_time_utc"] = at
            self._note("ended", meeting_id, key)
        return meeting

    def record(self, body: dict[str, Any], key: str) -> None:
        """``POST /call-recordings``."""
        self.recordings[body["call_sid"]] = body
        self._note("recording", body["call_sid"], key)

    def steps(self, call: str) -> list[str]:
        """What was told of one call, in order, repetitions included."""
        return [step for step, told in self.told if told == call]

    def _note(self, step: str, call: str, key: str) -> None:
        self.told.append((step, call))
        self.keys.append(key)
