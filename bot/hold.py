"""Keeps a waiting caller company: something is said while an answer is slow to come."""

import asyncio
from collections.abc import Callable

from bot.playout import Playout

#: The pause before the caller is asked for patience once more.
AGAIN_SECONDS = 4.0
#: An answer has so long in any case, though words were long in being heard.
LEAST_SECONDS = 0.5
#: How often in one turn.
MOST_IN_A_TURN = 3


class HoldKeeper:
    """Notices that the caller waits in silence, whichever vendor is the cause.

    From the caller's last word to the end of the answer, whenever nothing has been heard for
    ``after_seconds``, a hold message is said. It stands before whatever comes of the answer.

    Args:
        playout: Tells whether something is heard.
        after_seconds: How long a silence may be; 0 turns this off.
        say: Says the ``n``-th hold message of the call.
    """

    def __init__(self, playout: Playout, after_seconds: float, say: Callable[[int], None]) -> None:
        self._playout = playout
        self._after_seconds = after_seconds
        self._say = say
        self._said = 0
        self._in_this_turn = 0
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, silent_since: float | None = None) -> None:
        """The caller waits for an answer from now on.

        Args:
            silent_since: Loop time of their last word, if they spoke; the wait began then.
        """
        if self._since is None and self._after_seconds:
            now = self._now()
            earliest = now - max(0.0, self._after_seconds - LEAST_SECONDS)
            self._since = now if silent_since is None else max(silent_since, earliest)
            self._in_this_turn = 0
            self._look_at(self._since + self._after_seconds)

    def end(self) -> None:
        """All of the answer is there, or nobody waits for it any more."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at(self, when: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._since is None or self._in_this_turn >= MOST_IN_A_TURN:
            return
        silent_since = max(self._since, self._playout.play_end)
        patience = AGAIN_SECONDS if self._in_this_turn else self._after_seconds
        due = silent_since + patience
        if not self._playout.backlog_ms and self._now() >= due - 0.001:
            self._in_this_turn += 1
            self._say(self._said)
            self._said += 1
            due = self._now() + AGAIN_SECONDS
        self._look_at(max(due, self._now() + 0.05))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
