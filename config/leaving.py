"""Ends the process where it would not end by itself."""

import os
import sys
import threading

from loguru import logger


def leave_within(seconds: float, code: int) -> None:
    """End the process after ``seconds`` with ``code``, where some thread keeps it until then.

    Python waits for its threads before it ends. What a call has left is on disk before anything
    is sent anywhere: a thread in which a store or a disk hangs has nothing that could be lost.
    """

    def leave() -> None:
        logger.warning("something hangs and is left; what was not stored waits on disk")
        sys.stdout.flush()
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
