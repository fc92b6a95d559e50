"""What ``python main.py erase`` does, beside a server that runs or without one."""

import asyncio

import msgspec

from config.errors import StorageError
from config.settings import Settings
from sessions.erasure import NumberEraser
from sessions.index_changes import index_changes
from sessions.index_note import put_down_note
from sessions.journal_seal import use_journal_keys
from storage.factory import build_index, build_storage


async def run_erase(settings: Settings, number: str, *, dry_run: bool) -> tuple[str, bool]:
    """Erase the calls of a number, or only list them.

    Returns:
        The proof as JSON (or one key per line), and whether nothing is left to do.

    Raises:
        ConfigError: It is no telephone number, or the settings cannot be used.
        StorageError: The store is away.
    """
    if settings.storage.journal_key is not None:
        use_journal_keys(settings.storage.journal_key)
    data = settings.data_dir.absolute()
    storage, index = build_storage(settings), build_index(settings)
    try:
        try:
            if await index.open():
                # Tables that are made here are empty: the server has to fill them again.
                await asyncio.to_thread(put_down_note, data)
            changed = index_changes(index, data)
        except StorageError:
            # The server makes it again from the store, which is what counts.
            changed = None
            if not dry_run:
                await asyncio.to_thread(put_down_note, data)
        eraser = NumberEraser(storage, data, on_changed=changed)
        if dry_run:
            return "\n".join(await eraser.find(number)), True
        proof, key = await eraser.erase(number)
        text = msgspec.json.format(msgspec.json.encode({"stored_as": key, "proof": proof}))
        return text.decode(), proof.complete
    finally:
        await index.close()
        await storage.close()
