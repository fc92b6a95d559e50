"""What others were told of the calls: VoiceERA's backend, and whoever asks for the list."""

import json
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from simulators.backend.calls import Calls

_STEPS: Final = ("created", "ended", "recording")
_BUSY: Final = "busy"
_PAGE: Final = 200


@dataclass(slots=True)
class ToldBooks:
    """What was found.

    Attributes:
        reports: Different ones that the backend took; ``repeated`` came again under their key.
        busy: Calls of which the backend was told that there was no line.
        listed: Calls in the index.
    """

    reports: int = 0
    repeated: int = 0
    busy: int = 0
    listed: int = 0
    wrong: list[str] = field(default_factory=list)


def check_backend(
    books: ToldBooks, told: Calls, session_ids: Mapping[str, str], refused: Collection[str]
) -> None:
    """Whether the backend knows each recorded call in three steps, once each, and no other.

    A report whose answer was lost comes again with the same key, and counts once.

    Args:
        session_ids: Of the records in the store, with the carrier's id of each.
        refused: Calls, by the carrier's id, that may have been told of as busy.
    """
    calls = dict(zip(told.keys, (call_id for _, call_id in told.told), strict=True))
    wanted = {f"{each}-{step}": call for each, call in session_ids.items() for step in _STEPS}
    busy = {key for key in calls if key.endswith(f"-{_BUSY}")}
    books.reports = len(calls)
    books.repeated = len(told.keys) - len(calls)
    books.busy = len(busy)
    for key, call_id in wanted.items():
        if key not in calls:
            books.wrong.append(f"{call_id}: the backend was not told {key}")
    for key in calls.keys() - wanted.keys() - busy:
        books.wrong.append(f"{calls[key]}: the backend was told {key}, and there is no record")
    for key in busy:
        if calls[key] not in refused:
            books.wrong.append(f"{calls[key]}: the backend was told that it was busy")


def check_list(books: ToldBooks, listed: Mapping[str, str], session_ids: Mapping[str, str]) -> None:
    """Whether the index lists the calls of the store, each as stored, and no other.

    Args:
        listed: Status of each call, by our id.
    """
    books.listed = len(listed)
    for session_id, call_id in session_ids.items():
        status = listed.get(session_id, "not")
        if status != "stored":
            books.wrong.append(f"{call_id}: {status} in the list of calls, as {session_id}")
    for session_id in listed.keys() - session_ids.keys():
        books.wrong.append(f"{session_id}: listed as {listed[session_id]}, and there is no record")


def listed_calls(http: str) -> dict[str, str]:
    """All calls that the server lists, with their status.

    Raises:
        OSError: It does not answer.
    """
    found: dict[str, str] = {}
    cursor = ""
    while True:
        url = f"{http}/api/v1/calls?limit={_PAGE}{cursor}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            page = json.loads(answer.read())
        found |= {each["call_id"]: each["status"] for each in page["calls"]}
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={quote(page['next_cursor'])}"
