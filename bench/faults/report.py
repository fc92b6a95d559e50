"""Verdicts on calls whose vendors failed, and the table of them. No I/O."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from bench.faults import words
from bench.faults.calls import Bystander, Outcome
from bench.faults.catalogue import Scenario
from bench.faults.fault import Heard
from bench.faults.town import Results

APOLOGY_SECONDS: Final = 8.0
_STAGES: Final = ("stt", "llm", "tts")
#: Voices that do not tell where their words lie: where one breaks off is judged by its pace.
WITHOUT_WORD_TIMES: Final = frozenset({"sarvam", "ai4bharat", "bhashini"})


def wrong(outcome: Outcome, *, margin_seconds: float = 0.0) -> list[str]:
    """What of a call is not as it should be; empty where all is well.

    Args:
        margin_seconds: Added to each limit.
    """
    found = list(_wrong_sound(outcome, margin_seconds))
    found += _wrong_books(outcome)
    return [outcome.problem, *found] if outcome.problem else found


def _wrong_sound(outcome: Outcome, margin: float) -> Iterator[str]:
    expected = _expected(outcome)
    apology = outcome.apology_seconds
    if expected == "answer":
        yield from _wrong_answer(outcome)
        limit = outcome.scenario.fault.limit_seconds
        if outcome.silence_seconds > limit + margin:
            yield f"a silence of {outcome.silence_seconds:.1f} s"
        if outcome.ended_ms is not None:
            yield "the call was ended"
    elif expected == "prompt":
        asked = words.first(outcome.parts, "prompt")
        if asked is None or (asked.start_ms - outcome.asked_ms) / 1000 > APOLOGY_SECONDS + margin:
            yield "the caller was not asked again"
    elif apology is None:
        yield "no apology"
    elif (waited := outcome.silence_seconds if outcome.answer else apology) > (
        APOLOGY_SECONDS + margin
    ):
        yield f"the apology came after {waited:.1f} s"
    if apology is not None and outcome.scenario.expected == "answer":
        yield "an apology"
    if outcome.again is not None and words.answer_heard(outcome.again) != [*words.ANSWER_WORDS]:
        yield "the next question was not answered"
    apologies = words.times_said(outcome.parts, "apology")
    if apologies > 1:
        yield f"{apologies} apologies"
    deaf = outcome.scenario.stage == "stt" and expected == "apology"
    if deaf and outcome.ended_ms is None:
        yield "the call goes on, and nobody hears the caller"


def _expected(outcome: Outcome) -> Heard:
    """What should have been heard; where it is the vendor's luck, what was."""
    expected = outcome.scenario.expected
    if expected != "either":
        return expected
    if outcome.apology_seconds is not None:
        return "apology"
    return "prompt" if words.first(outcome.parts, "prompt") else "answer"


def _wrong_answer(outcome: Outcome) -> Iterator[str]:
    """Every word once, in order. A word that a voice had begun when it failed is not said again."""
    heard = outcome.answer
    missing = [word for word in words.ANSWER_WORDS if word not in heard]
    twice = [word for word, count in Counter(heard).items() if count > 1]
    judged = _judged_words(outcome.scenario)
    if len(missing) > judged:
        yield f"{len(missing)} words of the answer are missing"
    if len(twice) > judged:
        yield f"{len(twice)} words of the answer came twice"
    order = [words.ANSWER_WORDS.index(word) for word in dict.fromkeys(heard)]
    if order != sorted(order):
        yield "the answer came out of order"


def _judged_words(scenario: Scenario) -> int:
    """How many words may be taken for said that were not, or the other way round."""
    judged = scenario.stage == "tts" and scenario.provider in WITHOUT_WORD_TIMES
    return 1 if judged else 0


def _wrong_transcript(outcome: Outcome) -> Iterator[str]:
    """The words of the answer that were heard are those in the transcript."""
    heard = Counter([*outcome.answer, *words.answer_heard(outcome.again or ())])
    told = Counter(outcome.told)
    for what, found in (("lacks", heard - told), ("has too much:", told - heard)):
        if found.total() > _judged_words(outcome.scenario):
            yield f"the transcript {what} {' '.join(found.elements())}"


def _wrong_books(outcome: Outcome) -> Iterator[str]:
    scenario, fault = outcome.scenario, outcome.scenario.fault
    recorded = [
        each["kind"]
        for each in outcome.record.get("degraded", ())
        if each["stage"] == scenario.stage and each["provider"] in (scenario.provider, None)
    ]
    if fault.kinds and not set(fault.kinds) & set(recorded):
        yield f"none of {', '.join(fault.kinds)} in the record"
    if _expected(outcome) == "prompt":
        return
    exhausted = "exhausted" in outcome.recorded(scenario.stage)
    if exhausted != (outcome.apology_seconds is not None):
        yield "the apology and the record do not agree"
    asked = 1 if outcome.again is None else 2
    said = outcome.said
    if scenario.stage != "stt":
        # A machine that stood still may cost some of the sound; that is no vendor's fault.
        said = [words.UNDERSTOOD if line == words.PIECE else line for line in said]
    if outcome.asked_ms and outcome.ended_ms is None and said != asked * [words.UNDERSTOOD]:
        yield f"the transcript has of the caller: {outcome.said}"
    yield from _wrong_transcript(outcome)
    cause = outcome.record.get("end_cause")
    causes = {"caller_hangup" if outcome.ended_ms is None else "provider_failed"}
    if exhausted and outcome.apology_seconds is not None:
        # Both may hang up in the same moment after an apology.
        causes.add("provider_failed")
    if cause not in causes:
        yield f"end cause {cause}"
    if recorded and not outcome.warnings:
        yield "no warning with the call's id"


def wrong_beside(bystander: Bystander, *, busy: bool = False) -> list[str]:
    """What a bystander noticed.

    Args:
        busy: Others use the machine: gaps in speech may be their doing.
    """
    found = []
    broken = [heard for heard in bystander.answers if tuple(heard) != words.ANSWER_WORDS]
    if broken:
        found.append(f"{len(broken)} of {len(bystander.answers)} answers were not whole")
    if bystander.gaps and not busy:
        found.append(f"{bystander.gaps} gaps")
    late = ("underrun", "slow_answer", "blocked") if busy else ()
    degraded = [each for each in bystander.record["degraded"] if each["kind"] not in late]
    if degraded:
        found.append(f"degraded: {degraded}")
    if not bystander.answers:
        found.append("nothing was heard")
    return found


def report(header: str, results: Results, *, every_call: bool = False) -> str:
    """Tables in Markdown: one of all faults, and with ``every_call`` one of calls by stage."""
    lines = [header, "", *_summary(results.outcomes), ""]
    for stage in _STAGES:
        outcomes = [each for each in results.outcomes if each.scenario.stage == stage]
        if outcomes and every_call:
            lines += [f"### {stage}", "", *_table(outcomes), ""]
    lines += list(_beside(results.bystanders)) or [
        "Beside them, nobody's call was served to its end."
    ]
    if results.counted != results.recorded:
        lines.append(f"errors_total {results.counted} is not what records say {results.recorded}")
    lines += [f"A vendor complains: {text}" for text in results.violations[:10]]
    missed = [each for each in results.outcomes if wrong(each)]
    lines.append(f"{len(results.outcomes) - len(missed)} of {len(results.outcomes)} as expected.")
    lines += [f"- missed: {each.scenario.name}: {'; '.join(wrong(each))}" for each in missed]
    return "\n".join(lines)


def _summary(outcomes: list[Outcome]) -> Iterator[str]:
    """A row for each fault: the worst of all vendors that have it."""
    yield "| stage | fault | vendors | longest silence s | nobody left: heard | after s |"
    yield "|---|---|---|---:|---|---:|"
    faults = dict.fromkeys((each.scenario.stage, _row(each)) for each in outcomes)
    for stage, row in sorted(faults, key=lambda each: _STAGES.index(each[0])):
        here = [each for each in outcomes if (each.scenario.stage, _row(each)) == (stage, row)]
        behind = [each for each in here if each.scenario.fallback]
        alone = [each for each in here if not each.scenario.fallback]
        names = ", ".join(dict.fromkeys(each.scenario.provider for each in here))
        mark = " **missed**" if any(map(wrong, here)) else ""
        longest = max((each.silence_seconds for each in behind), default=0.0)
        heard = ", ".join(dict.fromkeys(map(_end, alone))) or "–"
        after = [each.apology_seconds for each in alone if each.apology_seconds is not None]
        yield (
            f"| {stage} | {row}{mark} | {names} | {longest:.1f} | {heard} "
            f"| {f'{max(after):.1f}' if after else '–'} |"
        )


def _row(outcome: Outcome) -> str:
    """The fault's name; a vendor may say 403 where others say 401."""
    return outcome.scenario.fault.row.replace("403", "401")


def _end(outcome: Outcome) -> str:
    """What a call came to, in a word or two."""
    heard = [part.kind for part in outcome.parts]
    word = next((kind for kind in ("apology", "prompt", "answer") if kind in heard), "nothing")
    return word if outcome.ended_ms is None else f"{word}, end of the call"


def _table(outcomes: list[Outcome]) -> Iterator[str]:
    yield "| vendor | fault | behind it | heard | longest silence s | apology after s | recorded |"
    yield "|---|---|---|---|---:|---:|---|"
    for each in outcomes:
        scenario, apology = each.scenario, each.apology_seconds
        counts = Counter(each.recorded())
        recorded = ", ".join(f"{what} ×{n}" if n > 1 else what for what, n in counts.items())
        mark = " **missed**" if wrong(each) else ""
        yield (
            f"| {scenario.provider} | {scenario.fault.row}{mark} | {scenario.fallback or '–'} "
            f"| {each.heard} | {each.silence_seconds:.1f} "
            f"| {'–' if apology is None else f'{apology:.1f}'} | {recorded or '–'} |"
        )


def _beside(bystanders: list[Bystander]) -> Iterator[str]:
    for each in bystanders:
        silences = sorted(each.silences) or [0.0]
        verdict = "; ".join(wrong_beside(each)) or "noticed nothing"
        yield (
            f"Beside them, {len(each.answers)} questions: answers after "
            f"{silences[len(silences) // 2]:.2f} s, at worst {silences[-1]:.2f} s; {verdict}."
        )


def as_json(results: Results) -> dict[str, Any]:
    """The same for programs."""
    return {
        "calls": [
            {
                "stage": each.scenario.stage,
                "vendor": each.scenario.provider,
                "fault": each.scenario.fault.row,
                "behind": each.scenario.fallback,
                "heard": each.heard,
                "longest_silence_seconds": round(each.silence_seconds, 2),
                "apology_seconds": each.apology_seconds and round(each.apology_seconds, 2),
                "recorded": each.recorded(),
                "degraded": each.record.get("degraded"),
                "transcript": each.transcript,
                "wrong": wrong(each),
            }
            for each in results.outcomes
        ],
        "beside": [
            {"silences": each.silences, "wrong": wrong_beside(each)} for each in results.bystanders
        ],
    }
