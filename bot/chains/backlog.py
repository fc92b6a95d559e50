"""How much the caller still has to hear before more is asked for."""

from collections.abc import Callable

from bot.chains.deadline import Deadline

#: With so much to be heard, no further sentence is asked for: an answer of twenty minutes would
#: else be in memory whole, and paid for, when the caller cuts it off in the first.
MAX_AHEAD_MS = 20_000.0
#: How soon and how late it is looked at again; a line that is paused hears nothing meanwhile.
LEAST_WAIT_MS = 100.0
MOST_WAIT_MS = 1000.0


class Backlog:
    """Watches what waits to be heard, while there is too much of it.

    Args:
        ahead_ms: How much audio waits to be heard.
        on_less: Called some time after it was too much: some was heard, or may have been.
    """

    def __init__(self, ahead_ms: Callable[[], float], on_less: Callable[[], None]) -> None:
        self._ahead_ms = ahead_ms
        self._look_again = Deadline(lambda _seconds: on_less())

    def too_much(self) -> bool:
        """Whether no more is to be asked for; ``on_less`` tells when to look again."""
        excess_ms = self._ahead_ms() - MAX_AHEAD_MS
        if excess_ms <= 0:
            return False
        if not self._look_again.running:
            self._look_again.set(min(max(excess_ms, LEAST_WAIT_MS), MOST_WAIT_MS) / 1000)
        return True

    def stop(self) -> None:
        """Look no more."""
        self._look_again.stop()
