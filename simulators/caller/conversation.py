"""A call by script: a list of steps, played by any kind of caller."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulators.caller.client import ClientCaller
from simulators.caller.leg import CallClosed, CallTimeout
from simulators.caller.report import CallReport, report_of
from simulators.caller.vobiz import VobizCaller

Caller = VobizCaller | ClientCaller


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectReply:
    """Wait until the agent has spoken and then been silent for ``quiet_ms``."""

    quiet_ms: float = 700.0
    timeout_ms: float = 15_000.0


@dataclass(frozen=True, slots=True)
class Say:
    """Speak, and go on when the last sample has been sent."""

    text: str


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys."""

    digits: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Speak ``after_ms`` after the agent has begun to, and over it.

    Attributes:
        timeout_ms: How long the agent may take to begin.
    """

    text: str
    after_ms: float
    timeout_ms: float = 15_000.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Say nothing for a while."""

    duration_ms: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """Put the phone down; what stands behind it is not played."""


@dataclass(frozen=True, slots=True)
class ExpectEnd:
    """Wait until the agent ends the call."""

    timeout_seconds: float = 30.0


Step = ExpectReply | Say | Press | Interrupt | Wait | HangUp | ExpectEnd


class ScriptFailed(AssertionError):
    """A step did not happen as the script says.

    Attributes:
        report: The call up to there.
    """

    def __init__(self, message: str, report: CallReport) -> None:
        super().__init__(f"{message}\n{report.as_text()}")
        self.report = report


async def converse(
    caller: Caller,
    steps: Sequence[Step],
    *,
    on_step: Callable[[Step], None] | None = None,
) -> CallReport:
    """Place the call, play the steps and hang up.

    Args:
        on_step: Told of each step when it has been played.

    Raises:
        ScriptFailed: No reply in time, or the call ended early; holds the report.
    """
    async with caller:
        for number, step in enumerate(steps, start=1):
            try:
                await _play(caller, step)
            except (CallTimeout, CallClosed) as error:
                raise ScriptFailed(f"step {number}, {step}: {error}", report_of(caller)) from error
            if on_step is not None:
                on_step(step)
            if isinstance(step, HangUp):
                break
    return report_of(caller)


async def _play(caller: Caller, step: Step) -> None:
    match step:
        case ExpectReply(quiet_ms=quiet_ms, timeout_ms=timeout_ms):
            await caller.listen_until_quiet(quiet_ms, timeout_ms)
        case Say(text=text):
            await caller.say(text)
        case Press(digits=digits):
            caller.press(digits)
        case Interrupt():
            await _interrupt(caller, step)
        case Wait(duration_ms=duration_ms):
            await caller.wait(duration_ms)
        case ExpectEnd(timeout_seconds=timeout_seconds):
            await caller.wait_ended(timeout_seconds)
        case HangUp():
            await caller.hang_up()


async def _interrupt(caller: Caller, step: Interrupt) -> None:
    phrase = await caller.phrase(step.text)
    await caller.wait_for_speech(step.timeout_ms)
    await caller.wait(step.after_ms)
    await caller.say(phrase)
