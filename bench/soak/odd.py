"""Callers who do wrong or suffer, and what is owed to each of them all the same."""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from simulators.caller.impairment import Impairment, Jitter, Loss, Repeat, Swap
from simulators.caller.leg import CallClosed, CallTimeout
from simulators.caller.phrase import Phrase
from simulators.caller.ticker import RealTicker
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import read_answer
from simulators.caller.vobiz_line import VobizLine
from simulators.caller.vobiz_webhooks import CALLER_HUNG_UP, send_webhook
from simulators.caller.wire import open_wire
from simulators.speech import Speech

_QUIET_MS: Final = 400.0
_REPLY_MS: Final = 3000.0
#: The server looks for peers that are gone for 20 s at most.
_GONE_SECONDS: Final = 26.0
#: Ten seconds in a row at over twice real time end a call.
_FLOOD_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owes:
    """What has to be found of a call.

    Attributes:
        least, most: Records.
        causes: Of its end; any where empty.
        sound: Whether the recording has to be there and complete.
        measured: Whether all that was sent has to be in it.
    """

    least: int = 1
    most: int = 1
    causes: frozenset[str] = frozenset()
    sound: bool = True
    measured: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """What a caller needs to call.

    Attributes:
        http: Base address of the server.
        rng: Of this call alone.
    """

    http: str
    speech: Speech
    phrases: Sequence[Phrase]
    rng: random.Random


Act = Callable[[VobizCaller, Line], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a caller behaves.

    Attributes:
        act: Done once, a random while after the call's beginning, while it is talked.
        never_starts: The media socket is dropped before ``start``.
        again: The same call id calls a second time afterwards.
        least_seconds: What is done takes so long to have its effect.
    """

    name: str
    owes: Owes = Owes()
    act: Act | None = None
    act_within_seconds: float = 4.0
    media_before_start: int = 0
    impairment: Callable[[int], Impairment] | None = None
    speed: float = 1.0
    never_starts: bool = False
    again: bool = False
    least_seconds: float = 0.0

    def caller(self, line: Line, call_id: str | None = None) -> VobizCaller:
        """A caller of this kind, who has not called yet."""
        return VobizCaller(
            answer_url=f"{line.http}/answer",
            hangup_url=f"{line.http}/hangup",
            line=VobizLine(media_before_start=self.media_before_start),
            speech=line.speech,
            impairment=self.impairment(line.rng.randrange(2**31)) if self.impairment else None,
            ticker=RealTicker(speed=self.speed) if self.speed != 1.0 else None,
            call_id=call_id,
        )

    async def place(self, caller: VobizCaller, line: Line) -> None:
        """Call, and be answered.

        Raises:
            AnswerRejected: The server has no line.
            OSError: The media socket was refused.
        """
        await (_drop_before_start(caller, line) if self.never_starts else caller.place())

    async def talk(self, caller: VobizCaller, line: Line) -> None:
        """Talk until cancelled.

        Raises:
            CallClosed: The call is over.
        """
        if self.never_starts:
            return
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(_turns(caller, line))
            if self.act is not None:
                await asyncio.sleep(line.rng.uniform(0.2, self.act_within_seconds))
                if caller.live:
                    await self.act(caller, line)
            await talking


async def _turns(caller: VobizCaller, line: Line) -> None:
    turn = line.rng.randrange(len(line.phrases))
    with contextlib.suppress(CallClosed):
        while True:
            with contextlib.suppress(CallTimeout):
                await caller.listen_until_quiet(_QUIET_MS, _REPLY_MS)
            await caller.say(line.phrases[turn % len(line.phrases)])
            turn += 1


class _Deaf:
    """Somebody at a media socket who wants nothing."""

    def text_received(self, data: bytes) -> None:
        """Nobody listens."""

    def binary_received(self, data: bytes) -> None:
        """Nobody listens."""

    def closed(self, code: int, reason: str) -> None:
        """Nobody minds."""


async def _drop_before_start(caller: VobizCaller, line: Line) -> None:
    answer = await send_webhook(f"{line.http}/answer", "POST", caller.facts.answer_form())
    order = read_answer(answer.status, answer.content_type, answer.body)
    wire = await open_wire(order.url, _Deaf())
    await asyncio.sleep(line.rng.uniform(0.0, 1.0))
    wire.abort()
    ended = caller.facts.session_start
    form = caller.facts.hangup_form(answered=None, ended=ended, cause=CALLER_HUNG_UP)
    await send_webhook(f"{line.http}/hangup", "POST", form)


async def _start_again(caller: VobizCaller, line: Line) -> None:
    for _ in range(line.rng.randint(1, 3)):
        caller.send_start_again()


async def _start_otherwise(caller: VobizCaller, line: Line) -> None:
    start = {"callId": caller.call_id, "streamId": "another"}
    caller.send_raw(json.dumps({"event": "start", "start": start}))


def _rubbish(rng: random.Random) -> tuple[bytes, ...]:
    """Messages that break the protocol, each in another way."""
    huge = b"9" * 5000
    return (
        b"[]",
        b"null",
        b'"',
        b"{",
        b"\xff\xfe\x00",
        b"[" * 500,
        b'{"event":"media","media":{"payload":"!!!!"}}',
        b'{"event":"media","media":{"payload":"AAA"}}',
        b'{"event":"media","media":{"payload":7}}',
        b'{"event":"media","sequenceNumber":' + huge + b',"media":{"payload":"AAAA"}}',
        b'{"event":' + huge + b"}",
        b'{"event":"dtmf","dtmf":{"digit":"12345"}}',
        b'{"event":"playedStream"}',
        rng.randbytes(rng.randrange(1, 2000)),
    )


async def _garbage(caller: VobizCaller, line: Line) -> None:
    """Fewer in a row than end a call: packets of sound come in between."""
    for message in (b'{"event":"media"}', *line.rng.sample(_rubbish(line.rng), 12)):
        caller.send_raw(message)
        await caller.wait(60.0)
    caller.send_binary(line.rng.randbytes(321))


async def _garbage_alone(caller: VobizCaller, line: Line) -> None:
    for _ in range(3):
        for message in _rubbish(line.rng):
            caller.send_raw(message)


async def _silence(caller: VobizCaller, line: Line) -> None:
    caller.mute()
    await caller.wait(line.rng.uniform(1000.0, 6000.0))
    caller.mute(False)


async def _drop(caller: VobizCaller, line: Line) -> None:
    how = line.rng.choice(({"abort": True}, {"close_code": 1001}, {}))
    await caller.hang_up(**how)


async def _vanish(caller: VobizCaller, line: Line) -> None:
    caller.vanish()
    await asyncio.sleep(_GONE_SECONDS)
    await caller.hang_up(abort=True)


async def _reconnect(caller: VobizCaller, line: Line, *, close_old: bool) -> None:
    await caller.reconnect(close_old=close_old)


PLAIN: Final = Manner(name="plain")
_WRONG: Final = Owes(causes=frozenset({"wire_error"}), measured=False)
_UNMEASURED: Final = Owes(measured=False)

ODD: Final[tuple[Manner, ...]] = (
    Manner(name="sends start twice", act=_start_again),
    Manner(name="sends another start", act=_start_otherwise, owes=_WRONG),
    Manner(name="sends media before start", media_before_start=25),
    Manner(name="sends every packet twice", impairment=lambda _: Repeat(1)),
    Manner(name="sends out of order", impairment=lambda _: Swap(3), owes=_UNMEASURED),
    Manner(name="loses packets", impairment=lambda n: Loss(0.2, burst=5, seed=n), owes=_UNMEASURED),
    Manner(name="stutters", impairment=lambda n: Jitter(20, seed=n), owes=_UNMEASURED),
    Manner(name="sends garbage now and then", act=_garbage),
    Manner(name="sends garbage alone", act=_garbage_alone, owes=_WRONG),
    Manner(
        name="speaks at three times the speed", speed=3.0, owes=_WRONG, least_seconds=_FLOOD_SECONDS
    ),
    Manner(name="falls silent", act=_silence, owes=_UNMEASURED),
    Manner(
        name="drops before start",
        never_starts=True,
        owes=Owes(causes=frozenset({"no_start"}), sound=False, measured=False),
    ),
    Manner(name="drops in the greeting", act=_drop, act_within_seconds=1.5, owes=_UNMEASURED),
    Manner(
        name="vanishes",
        act=_vanish,
        owes=Owes(causes=frozenset({"peer_lost"}), measured=False),
        least_seconds=_GONE_SECONDS + 10.0,
    ),
    Manner(
        name="opens a second stream", act=partial(_reconnect, close_old=False), owes=_UNMEASURED
    ),
    # Whether the first is known to be gone before the second comes is chance.
    Manner(
        name="loses its stream and opens another",
        act=partial(_reconnect, close_old=True),
        owes=Owes(most=2, measured=False),
    ),
    Manner(name="calls again with the same id", again=True),
)
