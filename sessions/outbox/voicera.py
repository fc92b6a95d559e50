"""The reports that VoiceERA's backend wants of a call.

Wire facts: VoiceERA's FastAPI backend, June 2026. ``POST /meetings`` is an upsert by
``meeting_id``, so a report that comes twice changes nothing; ``POST /call-recordings`` wants
``call_sid``, ``transcript_url`` and ``agent_type``. ``meeting_id`` and ``call_sid`` are the
carrier's call id.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from config.errors import BackendError
from config.sections import BackendSettings
from services.backend import BackendClient
from sessions.keeper import StoredCall
from sessions.outbox.courier import DeliveryError
from sessions.outbox.receiver import Draft
from sessions.outbox.report import Report
from sessions.outbox.told import CallEnd, ToldCall

#: Refusals that may pass: of the key (somebody is changing it), of the time, of the pace; 403 is
#: the word of something in front of it.
_PASSING: Final = (401, 403, 408, 429)


class VoiceraReceiver:
    """Tells VoiceERA's backend.

    Args:
        client: Carries the requests.
        settings: What it may hear.
    """

    name: Final = "VoiceERA's backend"
    kind: Final = "backend"
    folder: Final = "backend"

    def __init__(self, client: BackendClient, settings: BackendSettings) -> None:
        self._client = client
        self._settings = settings

    def started(self, call: ToldCall) -> Sequence[Draft]:
        """The meeting, still without an end."""
        return [_draft("1-created", call, "POST", "/meetings", _meeting(call))]

    def ended(self, call: ToldCall, end: CallEnd) -> Sequence[Draft]:
        """The meeting's end."""
        path = f"/meetings/{quote(call.call_id, safe='')}"
        return [_draft("2-ended", call, "PATCH", path, {"end_time_utc": end.at})]

    def stored(self, call: ToldCall, end: CallEnd, stored: StoredCall) -> Sequence[Draft]:
        """Where recording and transcript are; the transcript itself where that is wanted."""
        record, settings = stored.record, self._settings
        body: dict[str, Any] = {
            "call_sid": call.call_id,
            "transcript_url": record.transcript_text.url if record.transcript_text else "",
            "agent_type": _agent_type(call),
            "call_duration": end.duration_seconds,
            "end_time_utc": end.at,
            **_organisation(call),
        }
        if settings.upload_recordings and record.recording.file is not None:
            body["recording_url"] = record.recording.file.url
        if settings.upload_transcripts:
            body["transcript_content"] = stored.transcript_text
        if record.turns:
            body["latency_metrics"] = {"turns": msgspec.to_builtins(record.turns)}
        return [_draft("3-recording", call, "POST", "/call-recordings", body)]

    def busy(self, call: ToldCall) -> Sequence[Draft]:
        """A meeting that was over when it began."""
        body = _meeting(call) | {"end_time_utc": call.started_at, "call_busy": True}
        return [_draft("0-busy", call, "POST", "/meetings", body)]

    async def deliver(self, report: Report) -> None:
        """One request.

        Raises:
            DeliveryError: The backend has not taken it.
        """
        try:
            await self._client.report(report.method, report.path, report.body.encode(), report.key)
        except BackendError as error:
            status = error.status or 0
            final = 400 <= status < 500 and status not in _PASSING
            raise DeliveryError(error.code, error.message, final=final) from None


def _draft(step: str, call: ToldCall, method: str, path: str, body: dict[str, Any]) -> Draft:
    key = f"{call.session_id}-{step[2:]}"
    text = msgspec.json.encode(body).decode()
    return Draft(step, Report(key=key, method=method, path=path, body=text))


def _meeting(call: ToldCall) -> dict[str, Any]:
    numbers = {"from_number": call.from_number, "to_number": call.to_number}
    return {
        "meeting_id": call.call_id,
        "agent_type": _agent_type(call),
        **_organisation(call),
        "start_time_utc": call.started_at,
        "end_time_utc": "",
        "inbound": call.direction != "outbound",
        **{name: number for name, number in numbers.items() if number},
        "created_at": call.started_at,
        "call_busy": False,
    }


def _agent_type(call: ToldCall) -> str:
    return call.labels.get("agent_type") or call.agent_name or call.agent_id


def _organisation(call: ToldCall) -> dict[str, str]:
    org_id = call.labels.get("org_id")
    return {"org_id": org_id} if org_id else {}
