"""What the index of calls keeps of a call, from what is known of it at each time."""

from datetime import datetime

from config.errors import ConfigError
from config.phone import normalise_number
from sessions.journal_header import Begun
from sessions.keeper import StoredCall
from sessions.record import CallRecord
from sessions.spooled import SpooledCall
from sessions.transcript import wall_clock
from storage.index.entry import CallState, IndexedCall, plain


def live_entry(session: Begun, server_id: str | None) -> IndexedCall:
    """Of a call that has just begun."""
    facts = session.facts
    return IndexedCall(
        session_id=session.session_id,
        agent_id=session.agent.agent_id,
        direction=facts.direction,
        carrier_call_id=plain(facts.carrier_call_id),
        from_number=indexed_number(facts.from_number),
        to_number=indexed_number(facts.to_number),
        # To the same millisecond as in the record.
        started_at_ms=to_ms(wall_clock(session.started_wall)),
        status="live",
        server_id=server_id,
    )


def spooled_entry(call: SpooledCall, server_id: str | None, *, live: bool = False) -> IndexedCall:
    """Of a call that is in its journal alone; ``live`` where its end has not been written."""
    return _entry(call.record(), status="live" if live else "ended", server_id=server_id)


def stored_entry(record: CallRecord, record_key: str) -> IndexedCall:
    """Of a call that is safe; it does not matter any more which server had it."""
    return _entry(record, status="stored", record_key=record_key)


def entry_of(call: StoredCall) -> IndexedCall:
    """As :func:`stored_entry`."""
    return stored_entry(call.record, call.record_key)


def to_ms(instant: str) -> int:
    """ISO 8601 with an offset, as ms since 1970."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def indexed_number(text: str | None) -> str | None:
    """A number as the index holds it: E.164 where it is one, so that it is found."""
    if text is None:
        return None
    try:
        return normalise_number(text)
    except ConfigError:
        return plain(text)


def _entry(
    record: CallRecord,
    *,
    status: CallState,
    record_key: str | None = None,
    server_id: str | None = None,
) -> IndexedCall:
    stored, live = status == "stored", status == "live"
    sound, words = record.recording.file, record.transcript
    return IndexedCall(
        session_id=record.session_id,
        agent_id=plain(record.agent_id) or "",
        direction=record.direction,
        carrier_call_id=plain(record.carrier_call_id),
        from_number=indexed_number(record.from_number),
        to_number=indexed_number(record.to_number),
        started_at_ms=to_ms(record.started_at),
        ended_at_ms=None if live else to_ms(record.ended_at),
        status=status,
        end_cause=None if live else record.end_cause,
        recording_key=sound.key if sound and stored else None,
        transcript_key=words.key if words and stored else None,
        record_key=record_key,
        server_id=server_id,
        erased=stored and record.erased_at is not None,
    )
