"""The record of a call that was answered and whose media stream never began."""

import time
from dataclasses import dataclass, field
from uuid import uuid4

from bot.events import CallEnded
from config.agent import AgentConfig
from serializer.codecs import AudioFormat
from sessions.facts import CallFacts
from sessions.journal import JournalStatus
from sessions.journal_header import journal_header
from sessions.journal_writer import JournalWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverBegun:
    """A call without a session; see :class:`sessions.journal_header.Begun`."""

    agent: AgentConfig
    facts: CallFacts
    session_id: str = field(default_factory=lambda: str(uuid4()))
    started_wall: float = field(default_factory=time.time)


async def journal_no_start(
    call: NeverBegun,
    journals: JournalWriter,
    dialect: str,
    formats: tuple[AudioFormat, AudioFormat],
) -> JournalStatus:
    """Put down that the call came to nothing, with what is known of it."""
    journal = journals.open(journal_header(call, dialect, *formats))
    journal.event(CallEnded(at_ms=0.0, cause="no_start"))
    return await journal.close()
