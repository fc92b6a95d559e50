"""Keeps what blocks in Azure's SDK off the event loop."""

from collections.abc import Callable
from threading import Thread


def let_go(work: Callable[[], None]) -> None:
    """Run ``work`` on a thread that nobody waits for, not even the end of the process.

    ``work`` must hold the last references to the SDK's objects: freeing them may block too.
    """
    Thread(target=work, name="azure-end", daemon=True).start()
