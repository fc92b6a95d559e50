"""Many callers at once, in one process: ``python -m simulators.caller.load --help``."""

import argparse
import asyncio
import gc
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from simulators.caller.client import ClientCaller, FormatName
from simulators.caller.client_messages import FORMATS
from simulators.caller.codec import MULAW_8K, WireFormat, l16
from simulators.caller.conversation import Caller
from simulators.caller.leg import CallClosed, CallTimeout
from simulators.caller.phrase import Phrase, prepare_phrase
from simulators.caller.report import report_of
from simulators.caller.ticker import RealTicker
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.caller.vobiz_line import VobizLine
from simulators.speech import Speech, Voice

DEFAULT_PHRASES: Final = (
    "Hello, I would like to know my account balance.",
    "Please tell me about your opening hours.",
    "Can you say that again?",
    "Thank you very much.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What to run.

    Attributes:
        url: The media socket (Vobiz) or ``/voice`` (client); unused where ``answer_url`` is set.
        answer_url: The answer webhook; Vobiz only.
        calls: How many callers, all in this process and at the same time.
        seconds: How long each goes on beginning new turns.
        ramp_seconds: Time over which the calls are begun.
        greeting: Whether the agent speaks first and is to be heard out.
        quiet_ms: Silence after which a reply counts as over.
        pause_ms: What the caller waits before the next phrase, beside ``quiet_ms``.
        reply_timeout_ms: After this a turn counts as unanswered.
        wire_format: Of the Vobiz caller's audio.
    """

    url: str = ""
    answer_url: str | None = None
    hangup_url: str | None = None
    dialect: Literal["vobiz", "client"] = "vobiz"
    calls: int = 1
    seconds: float = 20.0
    ramp_seconds: float = 2.0
    phrases: tuple[str, ...] = DEFAULT_PHRASES
    voice: Voice = Voice()
    greeting: bool = True
    quiet_ms: float = 500.0
    pause_ms: float = 200.0
    reply_timeout_ms: float = 10_000.0
    wire_format: WireFormat = MULAW_8K
    client_format: FormatName = "pcm_8k"
    token: str = ""
    agent_id: str | None = None


@dataclass(slots=True)
class _Outcome:
    caller: Caller | None = None
    failure: str | None = None
    unanswered: int = 0


async def run_load(
    plan: LoadPlan, speech: Speech | None = None, ticker: RealTicker | None = None
) -> dict[str, Any]:
    """Run the calls and sum them up.

    Args:
        ticker: The clock of all calls; real time by default.

    Returns:
        A summary that ``json.dumps`` takes: latencies as ``{p50, p95, max}`` in milliseconds,
        gaps heard, what this process itself cost as ``caller_cores_per_call``, and how late
        its own clock was: gaps no longer than ``caller_late_ms`` may be its own doing.
    """
    phrases = await _prepare(plan, speech or Speech())
    ticker = ticker or RealTicker.shared()
    began_s, cpu_began_s = time.monotonic(), time.process_time()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_one_call(plan, phrases, number, ticker))
            for number in range(plan.calls)
        ]
    elapsed_s = time.monotonic() - began_s
    cpu_s = time.process_time() - cpu_began_s
    return summarise([task.result() for task in tasks], elapsed_s, cpu_s) | {
        "caller_late_ms": round(ticker.worst_late_ms, 1),
        "caller_late_beats": ticker.late_beats,
    }


async def _prepare(plan: LoadPlan, speech: Speech) -> tuple[Phrase, ...]:
    wire_format = plan.wire_format if plan.dialect == "vobiz" else FORMATS[plan.client_format]
    return tuple(
        [
            prepare_phrase(
                await speech.say(text, voice=plan.voice, rate_hz=wire_format.rate_hz),
                wire_format,
                text,
            )
            for text in plan.phrases
        ]
    )


def _caller(plan: LoadPlan, number: int, ticker: RealTicker) -> Caller:
    if plan.dialect == "client":
        return ClientCaller(
            plan.url,
            token=plan.token,
            agent_id=plan.agent_id,
            format=plan.client_format,
            ticker=ticker,
        )
    return VobizCaller(
        answer_url=plan.answer_url,
        stream_url=plan.url or None,
        hangup_url=plan.hangup_url,
        line=VobizLine(from_number=f"{number + 1:011d}"),
        wire_format=plan.wire_format,
        ticker=ticker,
    )


async def _one_call(
    plan: LoadPlan, phrases: Sequence[Phrase], number: int, ticker: RealTicker
) -> _Outcome:
    outcome = _Outcome()
    await asyncio.sleep(plan.ramp_seconds * number / plan.calls)
    caller = _caller(plan, number, ticker)
    try:
        async with caller:
            await _talk(plan, caller, phrases, number, outcome)
    except (ConnectionError, CallTimeout, AnswerRejected) as error:
        outcome.failure = f"{type(error).__name__}: {error}"
    outcome.caller = caller
    return outcome


async def _talk(
    plan: LoadPlan, caller: Caller, phrases: Sequence[Phrase], number: int, outcome: _Outcome
) -> None:
    if plan.greeting:
        await _listen(plan, caller, outcome)
    turn = number
    while caller.now_ms < plan.seconds * 1000:
        await caller.say(phrases[turn % len(phrases)])
        await _listen(plan, caller, outcome)
        await caller.wait(plan.pause_ms)
        turn += 1


async def _listen(plan: LoadPlan, caller: Caller, outcome: _Outcome) -> None:
    try:
        await caller.listen_until_quiet(plan.quiet_ms, plan.reply_timeout_ms)
    except CallClosed:
        raise
    except CallTimeout:
        outcome.unanswered += 1


def summarise(outcomes: Sequence[_Outcome], elapsed_s: float, cpu_s: float) -> dict[str, Any]:
    """Sum up finished calls; see :func:`run_load`.

    Reports are made here, when all calls are over: making one takes tens of milliseconds, and
    the other callers' clock would stand still meanwhile.
    """
    reports = [
        report_of(each.caller)
        for each in outcomes
        if each.caller is not None and each.caller.ended_ms is not None
    ]
    call_seconds = sum(report.duration_ms for report in reports) / 1000
    gaps = [gap.length_ms for report in reports for gap in report.gaps]
    violations = Counter(each.text for report in reports for each in report.violations)
    return {
        "calls": len(outcomes),
        "completed": sum(each.failure is None for each in outcomes),
        "failures": dict(Counter(each.failure for each in outcomes if each.failure)),
        "elapsed_seconds": round(elapsed_s, 2),
        "call_seconds": round(call_seconds, 2),
        "turns": sum(len(report.turns) for report in reports),
        "unanswered": sum(each.unanswered for each in outcomes),
        "response_ms": _spread([ms for report in reports for ms in report.responses_ms]),
        "first_audio_ms": _spread([report.first_audio_ms for report in reports]),
        "answer_ms": _spread([report.answer_ms for report in reports]),
        "connect_ms": _spread([report.connect_ms for report in reports]),
        "gaps": {
            "count": len(gaps),
            "longest_ms": round(max(gaps, default=0.0), 1),
            "total_ms": round(sum(gaps), 1),
            "calls": sum(bool(report.gaps) for report in reports),
        },
        "packets_sent": sum(report.packets_sent for report in reports),
        "packets_received": sum(report.packets_received for report in reports),
        "dropped": sum(report.dropped for report in reports),
        "violations": dict(violations.most_common(20)),
        "caller_cpu_seconds": round(cpu_s, 3),
        "caller_cores_per_call": round(cpu_s / call_seconds, 5) if call_seconds else None,
    }


def _spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    known = sorted(value for value in values if value is not None)
    if not known:
        return {"count": 0, "p50": None, "p95": None, "max": None}

    def rank(share: float) -> float:
        return round(known[max(0, math.ceil(share * len(known)) - 1)], 1)

    return {"count": len(known), "p50": rank(0.5), "p95": rank(0.95), "max": round(known[-1], 1)}


def _arguments(words: Sequence[str] | None) -> LoadPlan:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.caller.load",
        description="Place many calls at once on a voice server and print a summary as JSON.",
    )
    parser.add_argument("--url", default="", help="media socket, such as ws://host:port/voice/id")
    parser.add_argument("--answer-url", help="answer webhook, asked instead of --url")
    parser.add_argument("--hangup-url", help="hang-up webhook")
    parser.add_argument("--dialect", choices=("vobiz", "client"), default="vobiz")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each call")
    parser.add_argument("--ramp-seconds", type=float, default=2.0)
    parser.add_argument("--say", action="append", metavar="PHRASE", help="may be repeated")
    parser.add_argument("--language", default="en-us")
    parser.add_argument("--variant", default="f2", help="espeak-ng voice variant")
    parser.add_argument("--no-greeting", action="store_true", help="the caller speaks first")
    parser.add_argument("--quiet-ms", type=float, default=500.0)
    parser.add_argument("--pause-ms", type=float, default=200.0)
    parser.add_argument("--reply-timeout-ms", type=float, default=10_000.0)
    parser.add_argument(
        "--encoding", choices=("mulaw", "l16"), default="mulaw", help="Vobiz without webhook"
    )
    parser.add_argument("--rate-hz", type=int, choices=(8000, 16000, 24000), default=8000)
    parser.add_argument("--format", choices=get_args(FormatName), default="pcm_8k", help="client")
    parser.add_argument("--token", default="", help="client: JWT")
    parser.add_argument("--agent-id", help="client: whom to talk to")
    given = parser.parse_args(words)
    if not given.url and not (given.answer_url and given.dialect == "vobiz"):
        parser.error("give --url, or --answer-url for the vobiz dialect")
    if given.encoding == "mulaw" and given.rate_hz != 8000:
        parser.error("mu-law is sent at 8000 Hz")
    return LoadPlan(
        url=given.url,
        answer_url=given.answer_url,
        hangup_url=given.hangup_url,
        dialect=given.dialect,
        calls=given.calls,
        seconds=given.seconds,
        ramp_seconds=given.ramp_seconds,
        phrases=tuple(given.say) if given.say else DEFAULT_PHRASES,
        voice=Voice(given.language, given.variant),
        greeting=not given.no_greeting,
        quiet_ms=given.quiet_ms,
        pause_ms=given.pause_ms,
        reply_timeout_ms=given.reply_timeout_ms,
        wire_format=MULAW_8K if given.encoding == "mulaw" else l16(given.rate_hz, "big"),
        client_format=given.format,
        token=given.token,
        agent_id=given.agent_id,
    )


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line; status 1 where a call failed."""
    plan = _arguments(words)
    # A full collection stops the clock for tens of milliseconds; a run ends before it matters.
    gc.disable()
    with _runner() as runner:
        summary = runner.run(run_load(plan))
    sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    return 0 if summary["completed"] == summary["calls"] else 1


if __name__ == "__main__":
    sys.exit(main())
