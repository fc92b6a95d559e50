"""Copies of the backend's agents on disk, as the backend sent them: they outlive a restart."""

import asyncio
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from loguru import logger

from config.errors import ConfigError
from config.phone import mask_number, normalise_number


@dataclass(frozen=True, slots=True)
class Wanted:
    """By what an agent is asked for."""

    by: Literal["id", "number"]
    value: str

    def __str__(self) -> str:
        return self.value if self.by == "id" else mask_number(self.value)

    @property
    def file_name(self) -> str:
        """Names its copy on disk; neither an id nor a number is ever a path."""
        return hashlib.sha256(f"{self.by}:{self.value}".encode()).hexdigest()[:32] + ".json"


class _Names(msgspec.Struct):
    """What a copy says of itself."""

    agent_id: str
    phone_number: str | None = None


class KeptAgents:
    """The last good ones, each under what it was asked by.

    Args:
        folder: Where they lie; made when the first comes.
        most: How many are taken up after a restart.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most

    async def latest(self) -> list[Wanted]:
        """Whose copies lie on disk, the latest ones."""
        return await asyncio.to_thread(self._found)

    async def read(self, wanted: Wanted) -> bytes:
        """What was kept of one agent.

        Raises:
            OSError: There is no copy, or it cannot be read.
        """
        return await asyncio.to_thread(self._path(wanted).read_bytes)

    async def keep(self, wanted: Wanted, content: bytes | None) -> None:
        """Have the copy on disk be as the backend said; a disk that fails costs only that."""
        with suppress(FileNotFoundError):
            try:
                if content is None:
                    await asyncio.to_thread(self._path(wanted).unlink)
                else:
                    await asyncio.to_thread(self._write, wanted, content)
            except FileNotFoundError:
                raise
            except OSError as error:
                logger.warning(f"the agent {wanted} cannot be kept on disk: {error}")

    def _found(self) -> list[Wanted]:
        found: list[tuple[float, Wanted]] = []
        for path in self._folder.glob("*.json"):
            with suppress(OSError, msgspec.MsgspecError, ConfigError, UnicodeDecodeError):
                names = msgspec.json.decode(path.read_bytes(), type=_Names)
                wanted = [Wanted("id", names.agent_id)]
                if names.phone_number:
                    wanted.append(Wanted("number", normalise_number(names.phone_number)))
                latest = path.stat().st_mtime
                found += ((latest, each) for each in wanted if each.file_name == path.name)
        found.sort(key=lambda each: each[0], reverse=True)
        return [wanted for _, wanted in found[: self._most]]

    def _write(self, wanted: Wanted, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(wanted)
        part = path.with_suffix(".part")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        os.replace(part, path)

    def _path(self, wanted: Wanted) -> Path:
        return self._folder / wanted.file_name
