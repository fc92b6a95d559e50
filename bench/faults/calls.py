"""The callers: one whose vendor fails, and one beside whom others' vendors do."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.faults import words
from bench.faults.catalogue import Scenario
from bench.faults.fault import Fault
from bench.faults.vendors import Replies
from bench.faults.words import Part
from simulators.base import Simulator
from simulators.behaviour import WELL_BEHAVED
from simulators.caller.leg import CallClosed, CallTimeout
from simulators.caller.phrase import prepare_phrase
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Pcm
from simulators.word_tones import bare

#: The line's rate.
RATE_HZ = 8000
_GREETING_MS = 10_000.0
#: Nothing more is expected of an answer so long after its last word, or after the question.
_PATIENCE_MS = 9_000.0
#: What has been said to its end is listened to for so long, for what may be said twice.
_TAIL_MS = 1_200.0
_LOOK_MS = 400.0
#: A call of some seconds in which the callers' process stood still for less is one to go by.
DISTURBED_SECONDS = 0.5


@dataclass(slots=True)
class Outcome:
    """What came of one call.

    Attributes:
        asked_ms: When the question's last sample was sent, in the call's time; where the call
            ended before it was asked, its beginning.
        parts: What was heard from the question on.
        again: What was heard after a second question; None where there was none.
        ended_ms: When the server ended the call; None where the caller did.
        record: The stored record, and the lines of its transcript.
        stood_still_seconds: For how long in all the callers' and the vendors' process did not run.
    """

    scenario: Scenario
    call_id: str
    asked_ms: float
    parts: list[Part]
    ended_ms: float | None
    again: list[Part] | None = None
    gaps: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    transcript: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problem: str = ""
    stood_still_seconds: float = 0.0

    @property
    def said(self) -> list[str]:
        """What the transcript holds of the caller."""
        return [line.partition("user: ")[2] for line in self.transcript if "user: " in line]

    @property
    def disturbed(self) -> bool:
        """Whether the machine had no time for the callers, the vendors or the server."""
        blocked = any(each["kind"] == "blocked" for each in self.record.get("degraded", ()))
        return blocked or self.stood_still_seconds >= DISTURBED_SECONDS

    @property
    def told(self) -> list[str]:
        """The words of answers that the transcript holds of the agent."""
        lines = [line.partition("assistant: ")[2] for line in self.transcript]
        said = [bare(word) for line in lines for word in line.split()]
        return [word for word in said if word in words.ANSWER_WORDS]

    @property
    def silence_seconds(self) -> float:
        """The longest silence from the question to the last word heard."""
        return words.longest_silence_ms(self.parts, self.asked_ms) / 1000

    @property
    def apology_seconds(self) -> float | None:
        """From the question to the apology."""
        part = words.first(self.parts, "apology")
        return None if part is None else (part.start_ms - self.asked_ms) / 1000

    @property
    def answer(self) -> list[str]:
        """The words of the answer as they were heard."""
        return words.answer_heard(self.parts)

    @property
    def heard(self) -> str:
        """All of it, for people."""
        text = words.told(self.parts, self.asked_ms)
        if self.again:
            text += f"; then {words.told(self.again, self.again[0].start_ms)}"
        return text if self.ended_ms is None else f"{text}, end of the call"

    def recorded(self, stage: str | None = None) -> list[str]:
        """The record's failures, such as ``dropped (cartesia)``."""
        return [
            f"{each['kind']} ({each['provider']})" if each["provider"] else each["kind"]
            for each in self.record.get("degraded", ())
            if stage is None or each["stage"] == stage
        ]


def break_vendor(simulator: Simulator, fault: Fault) -> None:
    """Let the fault begin."""
    if fault.broken_replies:
        replies = simulator.replies  # type: ignore[attr-defined]
        assert isinstance(replies, Replies)
        replies.broken, replies.broken_left = fault.reply, fault.broken_replies
    simulator.behave(fault.then)
    if fault.live is not None:
        opened = [each.index for each in simulator.connections if not each.ended.is_set()]
        simulator.behave(fault.live, on=opened)
    simulator.behave_next(*fault.next)


async def call_with_fault(
    scenario: Scenario, simulator: Simulator, caller: VobizCaller, question: Pcm
) -> Outcome:
    """Ask the question once, while the fault is there, and hear what comes."""
    fault = scenario.fault
    if fault.when == "call":
        break_vendor(simulator, fault)
    await caller.place()
    began_ms, asked_ms, again_ms, problem = 0.0, 0.0, math.inf, ""
    try:
        await caller.listen_until_quiet(200, _GREETING_MS)
        phrase = prepare_phrase(question, caller.wire_format, words.QUESTION)
        saying = asyncio.create_task(caller.say(phrase))
        began_ms = caller.now_ms
        if fault.when == "speech":
            await caller.wait(len(question) * 500 / RATE_HZ)
            break_vendor(simulator, fault)
        asked_ms = (await saying).end_ms
        await _hear_out(caller, asked_ms)
        if fault.heals:
            simulator.behave(WELL_BEHAVED)
            again_ms = (await caller.say(phrase)).end_ms
            await _hear_out(caller, again_ms)
    except CallClosed:
        try:
            await caller.wait_ended(15)
        except CallTimeout:
            problem = "the server did not take the carrier's last webhook"
    except CallTimeout as error:
        problem = str(error)
    ended_ms = caller.ended_ms
    await caller.hang_up()
    parts = parts_from(caller, asked_ms)
    if ended_ms is not None and not parts:
        # The server has said all that it had to say, and ended the call, amid the question.
        asked_ms = began_ms
        parts = parts_from(caller, asked_ms)
    return Outcome(
        scenario,
        caller.call_id,
        asked_ms,
        [part for part in parts if part.start_ms < again_ms],
        ended_ms,
        again=[part for part in parts if part.start_ms >= again_ms] if fault.heals else None,
        gaps=len(caller.gaps(min_gap_ms=60)),
        problem=problem,
    )


def parts_from(caller: VobizCaller, from_ms: float) -> list[Part]:
    """What was heard from an instant on, in the call's time."""
    heard = caller.heard[round(from_ms * RATE_HZ / 1000) :]
    return [
        Part(part.kind, part.speaker, part.words, part.start_ms + from_ms, part.end_ms + from_ms)
        for part in words.read(words.TONES.heard(heard, RATE_HZ))
    ]


async def _hear_out(caller: VobizCaller, asked_ms: float) -> None:
    """Listen until the answer or an apology was heard, or nothing more comes."""
    while True:
        await caller.wait(_LOOK_MS)
        last_ms = max(asked_ms, caller.playback.last_audible_end_ms)
        if caller.now_ms - last_ms < _LOOK_MS:
            continue
        parts = parts_from(caller, asked_ms)
        said_to_end = words.ANSWER_WORDS[-1] in words.answer_heard(parts)
        is_over = said_to_end or words.first(parts, "apology") or words.first(parts, "prompt")
        if caller.now_ms - last_ms >= (_TAIL_MS if is_over else _PATIENCE_MS):
            return


@dataclass(slots=True)
class Bystander:
    """What somebody heard whose vendors were well.

    Attributes:
        silences: From each question to the first word of its answer, in seconds.
        answers: The words of each answer.
        gaps: How often speech broke off.
    """

    call_id: str
    silences: list[float] = field(default_factory=list)
    answers: list[list[str]] = field(default_factory=list)
    gaps: int = 0
    record: dict[str, Any] = field(default_factory=dict)


async def stand_by(caller: VobizCaller, question: Pcm, over: Callable[[], bool]) -> Bystander:
    """Talk on and on until the others are through."""
    seen = Bystander(caller.call_id)
    async with caller:
        await caller.listen_until_quiet(200, _GREETING_MS)
        phrase = prepare_phrase(question, caller.wire_format, words.QUESTION)
        while not over():
            asked_ms = (await caller.say(phrase)).end_ms
            await caller.listen_until_quiet(700, 15_000)
            parts = parts_from(caller, asked_ms)
            seen.answers.append(words.answer_heard(parts))
            seen.silences.append((parts[0].start_ms - asked_ms) / 1000 if parts else 99.0)
        seen.gaps = len(caller.gaps(min_gap_ms=60))
    return seen


async def in_turn(
    calls: Sequence[Callable[[], Any]], at_once: int, apart_seconds: float = 0.15
) -> list[Any]:
    """Place calls, so many at once, each a little after the one before it."""
    slots, doorway = asyncio.Semaphore(at_once), asyncio.Lock()

    async def one(call: Callable[[], Any]) -> Any:
        async with slots:
            async with doorway:
                await asyncio.sleep(apart_seconds)
            return await call()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(call)) for call in calls]
    return [task.result() for task in tasks]
