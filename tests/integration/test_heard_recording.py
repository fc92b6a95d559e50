"""The recording holds of the agent what the caller heard, at the time when they heard it.

What the caller's ear received is told by the simulated carrier, which plays what it is sent from
a buffer of its own and drops the rest when it is told to.
"""

import asyncio
import io
import wave
from typing import Any

import numpy as np
import numpy.typing as npt

from simulators.caller.codec import MULAW_8K
from simulators.caller.playback import Segment
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_line import VobizLine
from simulators.speech import Speech
from tests.integration.server import RunningServer
from tests.integration.stillness import undisturbed

Samples = npt.NDArray[np.int16]

RATE_HZ = 8000
#: Server, carrier and caller share one loop here, which may be late; what lies in the carrier's
#: buffer when a caller breaks in is more than twice this.
LATE_MS = 120
#: Long enough to be found once only.
MARK = RATE_HZ // 4


def ms(samples: int) -> float:
    return samples * 1000 / RATE_HZ


def sides(server: RunningServer, record: dict[str, Any]) -> tuple[Samples, Samples]:
    """Caller's and agent's channel of the stored recording."""
    with wave.open(io.BytesIO(server.stored(record["recording"]["file"]))) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE_HZ)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


def record_of(server: RunningServer, caller: VobizCaller) -> dict[str, Any]:
    (record,) = [r for r in server.records() if r["carrier_call_id"] == caller.call_id]
    return record


def find(part: Samples, whole: Samples) -> int:
    """Where ``part`` lies in ``whole``, bit by bit."""
    at = whole.tobytes().find(part.tobytes())
    assert at >= 0 and at % 2 == 0, "it is not in the recording"
    return at // 2


def most_like(part: Samples, whole: Samples) -> int:
    """Where ``whole`` is most like ``part``: the caller's sound is coded once on its way."""
    likeness = np.correlate(whole.astype(np.float64), part.astype(np.float64), "valid")
    return int(np.argmax(likeness))


def common(one: Samples, other: Samples) -> int:
    """How many samples are the same from the beginning."""
    size = min(one.size, other.size)
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if differ.size else size


def decoded(segments: list[Segment], *, heard: bool) -> Samples:
    """What was sent in ``segments``, or what was heard of it."""
    pieces = []
    for segment in segments:
        pcm = segment.format.decode(segment.payload)
        played = segment.played * RATE_HZ // 48_000
        pieces.append(pcm[:played] if heard else pcm)
    return np.concatenate(pieces)


async def broken_into(
    server: RunningServer, speech: Speech, latency_ms: float | None
) -> tuple[VobizCaller, int]:
    """A call in which a key cuts the story off; and how many segments came before it."""
    line = VobizLine(cleared_latency_ms=latency_ms)
    caller = server.phone(speech, line=line, wire_format=MULAW_8K)
    async with caller:
        await caller.listen_until_quiet(400, 10_000)
        await caller.say("tell me a long story")
        await caller.wait_for_speech()
        first = len(caller.playback.segments) - 1
        await caller.wait(1000)
        clears = len(caller.playback.clears_ms)
        caller.press("1")
        await caller.until(lambda: len(caller.playback.clears_ms) > clears, 10_000, "clearAudio")
        cleared_ms = caller.playback.clears_ms[-1]
        await caller.until(
            lambda: caller.playback.first_audible_after(cleared_ms) is not None,
            10_000,
            "the answer to the key",
        )
        await caller.listen_until_quiet(700, 10_000)
    return caller, first


def told_before_the_clear(caller: VobizCaller, first: int) -> list[Segment]:
    """The story's segments that had arrived when the carrier was told to drop the rest."""
    cleared_ms = caller.playback.clears_ms[-1]
    story = caller.playback.segments[first:]
    return [segment for segment in story if segment.arrived_ms <= cleared_ms]


async def test_the_agent_is_cut_at_what_was_heard(server: RunningServer, speech: Speech) -> None:
    """Also where the carrier never says that it has dropped the rest."""

    async def place() -> tuple[tuple[VobizCaller, int], ...]:
        calls = await asyncio.gather(
            broken_into(server, speech, 40.0), broken_into(server, speech, None)
        )
        await server.parts.manager.settled()
        return calls

    def check(calls: tuple[tuple[VobizCaller, int], ...]) -> None:
        for caller, first in calls:
            assert caller.violations == []
            check_cut(server, caller, told_before_the_clear(caller, first))

    await undisturbed(place, check)


def check_cut(server: RunningServer, caller: VobizCaller, story: list[Segment]) -> None:
    record = record_of(server, caller)
    _, agent = sides(server, record)
    sent, heard = decoded(story, heard=False), decoded(story, heard=True)
    assert ms(sent.size - heard.size) > 2 * LATE_MS, "nothing waited at the carrier"
    # The first packets hold the breath before the first word.
    begin = int(np.flatnonzero(np.abs(sent) > 200)[0])
    at = find(sent[begin : begin + MARK], agent) - begin
    kept = common(agent[at:], sent)
    assert abs(ms(kept - heard.size)) < LATE_MS
    # Nothing is heard of it afterwards, until the answer to the key begins.
    cut = at + kept
    rest = agent[cut:]
    silence = int(np.flatnonzero(rest)[0]) if rest.any() else rest.size
    answered_ms = caller.playback.first_audible_after(caller.playback.clears_ms[-1])
    assert answered_ms is not None
    assert abs(ms(silence) - (answered_ms - caller.playback.clears_ms[-1])) < 2 * LATE_MS
    assert record["interruptions"] == 1


async def test_both_sides_lie_on_one_clock(server: RunningServer, speech: Speech) -> None:
    async def place() -> VobizCaller:
        caller = server.phone(speech, wire_format=MULAW_8K)
        async with caller:
            await caller.listen_until_quiet(400, 10_000)
            await caller.say("what are your opening hours")
            await caller.listen_until_quiet(700, 10_000)
        await server.parts.manager.settled()
        return caller

    await undisturbed(place, lambda caller: check_clock(server, caller))


def check_clock(server: RunningServer, caller: VobizCaller) -> None:
    left, right = sides(server, record_of(server, caller))
    shifts = []
    for recorded, lived in ((left, caller.said), (right, caller.heard)):
        loud = np.flatnonzero(np.abs(lived) > 1000)
        for begin in (int(loud[0]), int(loud[-1]) - MARK):
            shifts.append(ms(most_like(lived[begin : begin + MARK], recorded) - begin))
    # Each from the call's zero by its own clock: all are the same way off.
    assert max(shifts) - min(shifts) < LATE_MS, shifts
