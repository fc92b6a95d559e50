"""Sending audio at a multiple of real time."""

import asyncio
import time


class Pace:
    """A clock that lets audio go at ``speed`` times real time.

    Args:
        speed: Multiple of real time.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = time.monotonic()
        self._sent_ms = 0.0

    def restart(self) -> None:
        """Nothing was sent for a while, and that isn't to be caught up with."""
        self._began = time.monotonic()
        self._sent_ms = 0.0

    async def after(self, audio_ms: float) -> None:
        """Wait until what follows ``audio_ms`` of audio may be sent; yields in any case."""
        self._sent_ms += audio_ms
        due = self._began + self._sent_ms / self._speed / 1000
        await asyncio.sleep(max(0.0, due - time.monotonic()))
