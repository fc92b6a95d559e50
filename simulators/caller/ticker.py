"""The clock of simulated calls: one pacing loop for all callers in a process.

A caller subscribes a function that is to run every 20 ms. The real ticker spreads its
subscribers over four phases, as calls that started at different moments would be, and makes
up for late ticks, as a carrier does whose packets pile up behind a stall. The manual ticker
stands still until a test moves it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from simulators.caller.codec import PACKET_MS

Tick = Callable[[], None]

_PHASES: Final = 4
#: Timers fire up to a millisecond early or late; a tick this close is due.
_SLACK_MS: Final = 0.5
_LATE_MS: Final = 5.0


class Ticker(Protocol):
    """Time and a 20 ms beat."""

    def now_ms(self) -> float:
        """Milliseconds on a monotonic clock with an arbitrary zero."""

    def subscribe(self, tick: Tick) -> Callable[[], None]:
        """Call ``tick`` every 20 ms until the returned function is called."""


class _Subscription:
    __slots__ = ("due_ms", "tick")

    def __init__(self, tick: Tick, due_ms: float) -> None:
        self.tick = tick
        self.due_ms = due_ms


class RealTicker:
    """Real time, or a multiple of it.

    Args:
        speed: How many call milliseconds pass in one real millisecond. Above 1, packets
            leave and play faster than a carrier would let them.

    Attributes:
        worst_late_ms: How late the latest beat was; what is measured in a process whose own
            beat stumbles says nothing about the server.
        late_beats: How many came over 5 ms late.
    """

    _shared: WeakKeyDictionary[asyncio.AbstractEventLoop, "RealTicker"] = WeakKeyDictionary()

    def __init__(self, *, speed: float = 1.0) -> None:
        self._speed = speed
        self._phases: list[list[_Subscription]] = [[] for _ in range(_PHASES)]
        self._timer: asyncio.TimerHandle | None = None
        self._zero_s = time.monotonic()
        self.worst_late_ms = 0.0
        self.late_beats = 0

    @classmethod
    def shared(cls) -> "RealTicker":
        """The ticker of the running loop, made on first use."""
        loop = asyncio.get_running_loop()
        ticker = cls._shared.get(loop)
        if ticker is None:
            ticker = cls._shared[loop] = cls()
        return ticker

    def now_ms(self) -> float:
        """Call milliseconds since the ticker was made."""
        return (time.monotonic() - self._zero_s) * 1000 * self._speed

    def subscribe(self, tick: Tick) -> Callable[[], None]:
        """Call ``tick`` every 20 ms, in the phase that has the fewest subscribers."""
        phase = min(range(_PHASES), key=lambda index: len(self._phases[index]))
        offset_ms = phase * PACKET_MS / _PHASES
        beats = (self.now_ms() - offset_ms) // PACKET_MS + 1
        subscription = _Subscription(tick, beats * PACKET_MS + offset_ms)
        self._phases[phase].append(subscription)
        if self._timer is None:
            self._schedule()

        def cancel() -> None:
            if subscription in self._phases[phase]:
                self._phases[phase].remove(subscription)

        return cancel

    def _schedule(self) -> None:
        dues = [subscriptions[0].due_ms for subscriptions in self._phases if subscriptions]
        if not dues:
            self._timer = None
            return
        delay_s = max(0.0, min(dues) - self.now_ms()) / 1000 / self._speed
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        horizon_ms = self.now_ms() + _SLACK_MS * self._speed
        self._note_lateness(horizon_ms)
        for subscriptions in self._phases:
            if subscriptions and subscriptions[0].due_ms <= horizon_ms:
                for subscription in tuple(subscriptions):
                    self._run(subscription, horizon_ms, subscriptions)
        self._schedule()

    def _note_lateness(self, now_ms: float) -> None:
        dues = [subscriptions[0].due_ms for subscriptions in self._phases if subscriptions]
        late_ms = now_ms - min(dues, default=now_ms)
        self.worst_late_ms = max(self.worst_late_ms, late_ms)
        self.late_beats += late_ms > _LATE_MS

    @staticmethod
    def _run(subscription: _Subscription, horizon_ms: float, peers: list[_Subscription]) -> None:
        while subscription.due_ms <= horizon_ms and subscription in peers:
            subscription.due_ms += PACKET_MS
            try:
                subscription.tick()
            except Exception as error:  # one caller's fault must not stop the others' beat
                peers.remove(subscription)
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a simulated caller's tick failed", "exception": error}
                )


class ManualTicker:
    """Virtual time: nothing moves until :meth:`advance` is called."""

    def __init__(self) -> None:
        self._now_ms = 0.0
        self._subscriptions: list[_Subscription] = []

    def now_ms(self) -> float:
        """The virtual time."""
        return self._now_ms

    def subscribe(self, tick: Tick) -> Callable[[], None]:
        """Call ``tick`` every 20 ms of virtual time, first 20 ms from now."""
        subscription = _Subscription(tick, self._now_ms + PACKET_MS)
        self._subscriptions.append(subscription)

        def cancel() -> None:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

        return cancel

    def advance(self, duration_ms: float) -> None:
        """Let time pass; every tick that falls into it runs at its exact instant."""
        until_ms = self._now_ms + duration_ms
        while True:
            due = min(self._subscriptions, key=lambda each: each.due_ms, default=None)
            if due is None or due.due_ms > until_ms:
                break
            self._now_ms = due.due_ms
            due.due_ms += PACKET_MS
            due.tick()
        self._now_ms = until_ms
