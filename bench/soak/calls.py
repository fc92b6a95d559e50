"""The callers of a soak, and what each of them knows of its call."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from simulators.caller.codec import PACKET_MS
from simulators.caller.leg import CallClosed, CallTimeout
from simulators.caller.phrase import Phrase
from simulators.caller.playback import UNITS_PER_MS
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.speech import Speech

#: A call that is killed younger than this may be lost whole: less sound is lost than is allowed.
YOUNG_MS: Final = 100.0
_QUIET_MS: Final = 400.0
_REPLY_MS: Final = 3000.0


@dataclass(slots=True)
class PlacedCall:
    """One call as its caller saw it.

    Attributes:
        call_id: The carrier's.
        answered: The media socket was taken and ``start`` was sent.
        killed_at_ms: Age of the call when its server was killed, None where it was not.
        sent_ms: Audio sent until the call ended, or until its server was killed.
        received_ms: Audio that came of the agent; ``heard_ms`` is what of it was played.
        cleared: The agent was interrupted: what was sent of it is not what is kept.
        hung_up: The caller ended the call.
        gaps_ms: Breaks within the agent's speech.
    """

    call_id: str
    answered: bool = False
    refused: str = ""
    killed_at_ms: float | None = None
    sent_ms: float = 0.0
    received_ms: float = 0.0
    heard_ms: float = 0.0
    cleared: bool = False
    hung_up: bool = False
    gaps_ms: Sequence[float] = ()

    @property
    def expected(self) -> bool:
        """Whether there has to be a record of it."""
        if self.killed_at_ms is not None:
            return self.heard_ms > YOUNG_MS or self.sent_ms > YOUNG_MS
        return self.answered


@dataclass(slots=True)
class Callers:
    """Everybody who calls.

    Attributes:
        http: Base address of the server.
        phrases: What is said, ready to be sent.
    """

    http: str
    speech: Speech
    phrases: Sequence[Phrase]
    rng: random.Random
    placed: list[PlacedCall] = field(default_factory=list)
    _live: dict[str, tuple[PlacedCall, VobizCaller]] = field(default_factory=dict)

    async def call(self, seconds: float) -> PlacedCall:
        """Talk for so long, unless the call ends before; never fails."""
        caller = VobizCaller(
            answer_url=f"{self.http}/answer", hangup_url=f"{self.http}/hangup", speech=self.speech
        )
        placed = PlacedCall(caller.call_id)
        self.placed.append(placed)
        self._live[placed.call_id] = (placed, caller)
        try:
            await caller.place()
            placed.answered = True
            await self._talk(caller, seconds)
            placed.hung_up = caller.live
        except CallClosed:
            pass
        except (AnswerRejected, OSError) as error:
            placed.refused = type(error).__name__
        finally:
            with contextlib.suppress(OSError):
                await caller.hang_up()
            del self._live[placed.call_id]
            _note(placed, caller)
        return placed

    def about_to_kill(self) -> int:
        """Note what every live call has sent so far; returns how many there are."""
        live = [(placed, caller) for placed, caller in self._live.values() if caller.live]
        for placed, caller in live:
            placed.killed_at_ms = caller.now_ms
            placed.sent_ms = caller.packets_sent * PACKET_MS
        return len(live)

    async def _talk(self, caller: VobizCaller, seconds: float) -> None:
        turn = self.rng.randrange(len(self.phrases))
        talking = asyncio.create_task(self._turns(caller, turn))
        try:
            await asyncio.wait([talking], timeout=seconds)
        finally:
            talking.cancel()
            with contextlib.suppress(asyncio.CancelledError, CallClosed):
                await talking

    async def _turns(self, caller: VobizCaller, turn: int) -> None:
        while True:
            with contextlib.suppress(CallTimeout):
                await caller.listen_until_quiet(_QUIET_MS, _REPLY_MS)
            await caller.say(self.phrases[turn % len(self.phrases)])
            turn += 1


def _note(placed: PlacedCall, caller: VobizCaller) -> None:
    playback = caller.playback
    if placed.killed_at_ms is None:
        placed.sent_ms = caller.packets_sent * PACKET_MS
    placed.received_ms = sum(each.length for each in playback.segments) / UNITS_PER_MS
    placed.heard_ms = sum(each.played for each in playback.segments) / UNITS_PER_MS
    placed.cleared = bool(playback.clears_ms)
    placed.gaps_ms = [gap.length_ms for gap in caller.gaps()]
