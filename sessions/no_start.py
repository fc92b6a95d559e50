"""The record of a call that was answered and whose media stream never began."""

import time
from dataclasses import dataclass, field
from uuid import uuid4

from bot.events import CallEnded
from config.agent import AgentConfig
from serializer.codecs import AudioFormat
from sessions.facts import CallFacts
from sessions.journal import JournalStatus
from sessions.journal_format import JournalHeader
from sessions.journal_header import journal_header
from sessions.journal_writer import JournalWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverBegun:
    """A call without a session; see :class:`sessions.journal_header.Begun`."""

    agent: AgentConfig
    facts: CallFacts
    session_id: str = field(default_factory=lambda: str(uuid4()))
    started_wall: float = field(default_factory=time.time)


def never_begun_header(
    agent: AgentConfig,
    facts: CallFacts,
    formats: tuple[AudioFormat, AudioFormat],
    dialect: str = "vobiz",
) -> JournalHeader:
    """The header of a call that is answered now, should it come to nothing.

    Args:
        formats: What its line would carry, in and out.
    """
    return journal_header(NeverBegun(agent=agent, facts=facts), dialect, *formats)


async def journal_no_start(
    header: JournalHeader, journals: JournalWriter, cause: str = "no_start"
) -> JournalStatus:
    """Put down that the call came to nothing, with what is known of it."""
    journal = journals.open(header)
    journal.event(CallEnded(at_ms=0.0, cause=cause))
    return await journal.close()
