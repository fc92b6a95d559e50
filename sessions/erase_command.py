"""What ``python main.py erase`` does, beside a server that runs or without one."""

import asyncio

import msgspec

from config.errors import StorageError
from config.settings import Settings
from sessions.erasure import INDEX, ErasureProof, NumberEraser
from sessions.erasure_disk import Pending
from sessions.index_changes import ChangeRow, ForgetRows, index_changes, index_forgetting
from sessions.index_note import put_down_note
from sessions.journal_seal import use_journal_keys
from storage.base import Storage
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
    storage = build_storage(settings)
    try:
        if dry_run:
            return "\n".join(await NumberEraser(storage, data).find(number)), True
        proof, key = await _erase(settings, storage, number)
        text = msgspec.json.format(msgspec.json.encode({"stored_as": key, "proof": proof}))
        return text.decode(), proof.complete
    finally:
        await storage.close()


async def _erase(settings: Settings, storage: Storage, number: str) -> tuple[ErasureProof, str]:
    data, index = settings.data_dir.absolute(), build_index(settings)
    changed: ChangeRow | None = index_changes(index, data)
    forget: ForgetRows | None = index_forgetting(index, storage, data)
    left: list[Pending] = []
    try:
        try:
            if await index.open():
                # Tables that are made here are empty: the server has to fill them again.
                await asyncio.to_thread(put_down_note, data)
        except StorageError as error:
            # The server takes the number out of it by the note, or the next run of this.
            changed = forget = None
            left.append(Pending(what=INDEX, reason=error.message))
            await asyncio.to_thread(put_down_note, data)
        eraser = NumberEraser(storage, data, on_changed=changed, forget_rows=forget)
        return await eraser.erase(number, left)
    finally:
        await index.close()
