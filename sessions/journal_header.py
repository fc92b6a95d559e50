"""The header of a call's journal, from what the session knows when it begins."""

import hashlib
import math
from typing import Protocol

from config.agent import AgentConfig
from config.providers import PROVIDER_KINDS
from serializer.codecs import AudioFormat
from sessions.facts import CallFacts
from sessions.journal_format import JournalHeader, Part

#: For the farewell of a call that has lasted as long as it may.
CARRIER_MARGIN_SECONDS = 60


class Begun(Protocol):
    """The part of a session that a header is made from."""

    @property
    def session_id(self) -> str: ...

    @property
    def started_wall(self) -> float: ...

    @property
    def agent(self) -> AgentConfig: ...

    @property
    def facts(self) -> CallFacts: ...


def journal_header(
    session: Begun, dialect: str, heard: AudioFormat, spoken: AudioFormat
) -> JournalHeader:
    """What the journal keeps of a call's beginning; enough to finish it after a crash.

    Args:
        dialect: Who speaks on the wire: ``vobiz``, ``client``.
        heard: Codec of the caller's audio.
        spoken: Codec of the agent's.
    """
    agent, facts = session.agent, session.facts
    labels = dict(agent.metadata)
    if facts.subject is not None:
        labels["subject"] = facts.subject
    return JournalHeader(
        session_id=session.session_id,
        started_at=session.started_wall,
        agent_id=agent.agent_id,
        agent_hash=agent_hash(agent),
        caller_format=heard,
        agent_format=spoken,
        direction=facts.direction,
        dialect=dialect,
        agent_name=agent.title,
        language=agent.language,
        carrier_call_id=facts.carrier_call_id,
        carrier_stream_id=facts.carrier_stream_id,
        from_number=facts.from_number,
        to_number=facts.to_number,
        vendors={kind: list(agent.section(kind).chain) for kind in PROVIDER_KINDS},
        record_audio=agent.recording.enabled,
        stereo=agent.recording.stereo,
        recording_format=agent.recording.format,
        carrier_recording_seconds=_carrier_seconds(agent, facts, dialect),
        retention_days=_retention_days(agent),
        labels=labels,
    )


def _carrier_seconds(agent: AgentConfig, facts: CallFacts, dialect: str) -> int:
    if not agent.recording.carrier or dialect != "vobiz" or not facts.carrier_call_id:
        return 0
    return math.ceil(agent.call.max_duration_seconds) + CARRIER_MARGIN_SECONDS


def _retention_days(agent: AgentConfig) -> dict[Part, int]:
    asked: dict[Part, int | None] = {
        "recording": agent.recording.retention_days,
        "transcript": agent.recording.transcript_retention_days,
        "record": agent.recording.record_retention_days,
    }
    return {part: days for part, days in asked.items() if days is not None}


def agent_hash(agent: AgentConfig) -> str:
    """Tells versions of an agent apart: a digest of everything its file and defaults said."""
    return hashlib.sha256(agent.model_dump_json().encode()).hexdigest()[:16]
