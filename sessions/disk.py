"""Watches how full the disk is that journals and recordings are written to."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from loguru import logger

from sessions import metrics

CHECK_SECONDS = 5.0
#: A disk (a network's, perhaps) that takes longer to say how full it is.
PATIENCE_SECONDS = 4.0

DiskState = Literal["roomy", "filling", "full"]


class DiskWatch:
    """Looks at the disk of one folder every few seconds, off the loop.

    Args:
        folder: A folder on it, there or still to be made.
        warn_percent: From here on it is ``filling``, which is logged.
        full_percent: From here on it is ``full``: new calls are refused.
        usage: How full a path's disk is, in percent; replaced in tests.
    """

    def __init__(
        self,
        folder: Path,
        *,
        warn_percent: float,
        full_percent: float,
        usage: Callable[[Path], float] | None = None,
    ) -> None:
        self._folder = folder
        self._warn_percent = warn_percent
        self._full_percent = full_percent
        self._usage = usage or used_percent
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Future[float] | None = None
        self.state: DiskState = "roomy"

    async def start(self) -> None:
        """Look once, then every few seconds."""
        await self.look()
        self._task = asyncio.create_task(self._look_for_ever(), name="disk-watch")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """See how full it is now; where that cannot be told, what was seen last holds.

        A disk that hangs is asked once, not again and again: each question holds a thread, and
        name lookups for every vendor need the same few.
        """
        looking = self._looking or asyncio.ensure_future(
            asyncio.to_thread(self._usage, self._folder)
        )
        self._looking = looking
        await asyncio.wait([looking], timeout=PATIENCE_SECONDS)
        if not looking.done():
            logger.debug(f"the disk of {self._folder} does not say how full it is")
            return
        self._looking = None
        try:
            percent = looking.result()
        except OSError as error:
            logger.debug(f"the disk of {self._folder} does not say how full it is: {error!r}")
            return
        metrics.DISK_USED_PERCENT.set(percent)
        before, self.state = self.state, self._judge(percent)
        if self.state != before:
            self._tell(percent)

    def _judge(self, percent: float) -> DiskState:
        if percent >= self._full_percent:
            return "full"
        return "filling" if percent >= self._warn_percent else "roomy"

    def _tell(self, percent: float) -> None:
        where = f"the disk of {self._folder} is {percent:.0f} % full"
        if self.state == "full":
            why = "" if percent < 100 else " (or cannot be written to)"
            logger.error(f"{where}{why}: no new calls are taken until there is room")
        elif self.state == "filling":
            full = f"{self._full_percent:g} %"
            logger.warning(f"{where}; at {full} no new calls are taken")
        else:
            logger.info(f"{where} again")

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self.look()


def used_percent(folder: Path) -> float:
    """How much of the disk of ``folder``, or of its nearest parent, nobody but root can use.

    Of a folder that cannot be written to (a disk that the system has made read-only after an
    error, say) all is used: a call that is answered now would leave no trace.

    Raises:
        OSError: The disk does not say.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return 100.0
    disk = os.statvfs(folder)
    usable = disk.f_blocks - disk.f_bfree + disk.f_bavail
    return 100.0 * (1 - disk.f_bavail / usable) if usable else 0.0
