"""What ``main.py recover`` does: finishes what dead servers left, and makes the index again."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from config.errors import StorageError
from config.settings import Settings
from sessions.answered import AnsweredCalls
from sessions.answered_notes import FOLDER
from sessions.expected import NO_START_SECONDS
from sessions.index_note import put_down_note
from sessions.index_rebuild import Rebuilt, rebuild_index
from sessions.journal_seal import use_journal_keys
from sessions.journal_writer import JournalWriter
from sessions.keeper import RecordKeeper, StoredCall
from sessions.no_start import journal_no_start
from sessions.server_identity import server_id
from sessions.spool import unfinished
from storage.factory import build_index, build_storage


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found.

    Attributes:
        stored: Calls that are safe now.
        failed: Calls that still wait, and why.
        left: Calls that only a server may finish, since it also tells others of them.
        ringing: Calls answered so lately that their streams may still come to a server.
    """

    stored: list[StoredCall] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    ringing: list[str] = field(default_factory=list)


async def recover_calls(settings: Settings) -> Recovered:
    """Store the calls whose journals nobody owns; those of servers that run are left to them.

    Raises:
        ConfigError: The settings name no store that could be used.
    """
    data = settings.data_dir.absolute()
    root = data / "journal"
    if settings.backend.is_usable or settings.webhooks:
        # Backend and webhooks are told of a call before its journal goes, and by one alone.
        return Recovered(left=[folder.name for folder in unfinished(root)])
    ringing = await _journal_lost_calls(data, settings.storage.journal_key)
    folders = unfinished(root)
    storage = build_storage(settings)
    keeper = RecordKeeper(storage, root, prices=settings.prices)
    found = Recovered(ringing=ringing)
    try:
        for folder in folders:
            try:
                found.stored.append(await keeper.finish(folder))
            except StorageError as error:
                found.failed[folder.name] = error.message
            # One journal that nobody foresaw must not keep the others out.
            except Exception as error:
                found.failed[folder.name] = f"{type(error).__name__}: {error}"
    finally:
        await keeper.close()
        await storage.close()
    if found.stored:
        # A server that had tried one of them in vain cannot know what became of it.
        await asyncio.to_thread(put_down_note, data)
    return found


async def _journal_lost_calls(data: Path, secret: SecretStr | None) -> list[str]:
    """Have a journal for each call that was answered, and lost before it had one.

    Returns:
        The others, whose streams may still come to a server that starts now.
    """
    ringing = []
    key = use_journal_keys(secret) if secret is not None else None
    answered = AnsweredCalls(data / FOLDER, data / "journal", key)
    journals = JournalWriter(data / "journal", key=key)
    journals.start()
    try:
        for header in await answered.start():
            if time.time() - header.started_at < NO_START_SECONDS:
                ringing.append(header.session_id)
                continue
            status = await journal_no_start(header, journals, "crash")
            if status.complete:
                await answered.removed(header.session_id)
    finally:
        await journals.close()
        await answered.close()
    return ringing


async def recover_index(settings: Settings) -> Rebuilt:
    """Make the index of calls again from the store and the journals, also beside a server.

    Raises:
        StorageError: The store or the database does not answer.
        ConfigError: The settings name none that could be used.
    """
    data = settings.data_dir.absolute()
    storage = build_storage(settings)
    index = build_index(settings)
    try:
        try:
            await index.open()
        except StorageError as error:
            if error.code != "index_corrupt":
                raise
            await index.set_aside()
            await index.open()
        return await rebuild_index(index, storage, data / "journal", server_id(data))
    finally:
        await index.close()
        await storage.close()
