"""What a caller heard is read and judged as it was."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from bench.faults import words
from bench.faults.calls import RATE_HZ, Outcome
from bench.faults.catalogue import Scenario, catalogue
from bench.faults.report import wrong
from bench.faults.stillness import Stillness
from bench.faults.words import ANSWER_WORDS, Part, read
from simulators.word_tones import HeardWord
from tests.virtual_time import running_loop, virtual_time

SCENARIOS = list(catalogue())


def said(text: str, speaker: str = "cartesia", at_ms: float = 0.0) -> list[HeardWord]:
    """Words of 300 ms, one after the other."""
    return [
        HeardWord(speaker, word, at_ms + 330 * number, at_ms + 330 * number + 300)
        for number, word in enumerate(text.split())
    ]


def part(kind: words.Kind, text: str, start_ms: float, end_ms: float) -> Part:
    return Part(kind, "cartesia", tuple(text.split()), start_ms, end_ms)


def outcome(scenario: Scenario, *parts: Part, degraded: str, warned: bool = True) -> Outcome:
    """A call of a question that ended at 1 s."""
    told = [
        {
            "stage": scenario.stage,
            "kind": kind,
            "provider": None if kind == "exhausted" else scenario.provider,
        }
        for kind in degraded.split()
    ]
    return Outcome(
        scenario,
        "id",
        1000.0,
        list(parts),
        None,
        record={"degraded": told, "end_cause": "caller_hangup"},
        transcript=[
            f"user: {words.UNDERSTOOD}",
            *(f"assistant: {' '.join(each.words)}" for each in parts),
        ],
        warnings=["one"] if warned else [],
    )


def scenario(name: str) -> Scenario:
    return next(each for each in SCENARIOS if each.name == name)


ANSWER = part("answer", " ".join(ANSWER_WORDS), 1600.0, 6000.0)
REFUSED = scenario("tts: cartesia: 401, then sarvam")
ALONE = scenario("tts: cartesia: 503, nobody left")


def test_parts_are_told_with_the_silences_between_them() -> None:
    heard = [
        *said(words.HOLD, at_ms=2500.0),
        *said(" ".join(ANSWER_WORDS[:2]), at_ms=3200.0),
        *said(" ".join(ANSWER_WORDS[2:]), "sarvam", at_ms=5000.0),
    ]
    parts = read(heard)
    assert words.told(parts, 1000.0) == (
        "silence 1.5 s, hold (cartesia) 0.6 s, answer 1-2 (cartesia) 0.6 s, silence 1.2 s, "
        "answer 3-12 (sarvam) 3.3 s"
    )
    assert words.longest_silence_ms(parts, 1000.0) == 1500.0
    assert words.answer_heard(parts) == list(ANSWER_WORDS)


def test_a_word_that_breaks_off_and_goes_on_is_one_and_a_word_said_again_is_two() -> None:
    word = ANSWER_WORDS[0]
    broken = [HeardWord("cartesia", word, 0, 200), HeardWord("cartesia", word, 700, 900)]
    assert words.answer_heard(read(broken)) == [word]
    again = [HeardWord("cartesia", word, 0, 400), HeardWord("cartesia", word, 430, 830)]
    assert words.answer_heard(read(again)) == [word, word]


def test_a_word_that_breaks_off_often_is_one() -> None:
    # In eight pieces it reads longer than any voice takes for it.
    text = f"{ANSWER_WORDS[3]}।"
    sound = words.TONES.voice("cartesia")(text, 80.0 * len(text), RATE_HZ).astype(np.int16)
    pieces = np.array_split(sound[: -RATE_HZ * 30 // 1000], 8)
    silence = np.zeros(RATE_HZ * 93 // 1000, np.int16)
    heard = np.concatenate([part for piece in pieces for part in (piece, silence)])
    found = words.TONES.heard(heard, RATE_HZ)
    assert len(found) == len(pieces)
    assert sum(each.length_ms for each in found) > 100.0 * len(ANSWER_WORDS[3])
    assert words.answer_heard(read(found)) == [ANSWER_WORDS[3]]
    twice = words.TONES.heard(np.concatenate([heard, sound, silence]), RATE_HZ)
    assert words.answer_heard(read(twice)) == 2 * [ANSWER_WORDS[3]]


def test_scenarios_differ() -> None:
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)
    assert all(b.number == a.number + 1 for a, b in pairwise(SCENARIOS))


def test_a_fault_that_is_borne() -> None:
    assert wrong(outcome(REFUSED, ANSWER, degraded="auth")) == []


@pytest.mark.parametrize(
    ("parts", "degraded", "told"),
    [
        ((), "auth", "12 words of the answer are missing"),
        ((ANSWER, ANSWER), "auth", "12 words of the answer came twice"),
        ((part("answer", " ".join(ANSWER_WORDS), 3500.0, 8000.0),), "auth", "a silence of 2.5 s"),
        ((ANSWER, part("apology", words.APOLOGY, 6000.0, 7000.0)), "auth", "an apology"),
        ((ANSWER,), "", "none of auth, server in the record"),
    ],
)
def test_a_fault_that_is_not(parts: tuple[Part, ...], degraded: str, told: str) -> None:
    assert told in wrong(outcome(REFUSED, *parts, degraded=degraded))


def test_an_apology_that_is_late_is_told() -> None:
    late = part("apology", words.APOLOGY, 10_000.0, 11_000.0)
    call = outcome(ALONE, late, degraded="server exhausted")
    assert wrong(call) == ["the apology came after 9.0 s"]
    assert wrong(call, margin_seconds=1.5) == []


def test_a_failure_without_a_warning_is_told() -> None:
    call = outcome(REFUSED, ANSWER, degraded="auth", warned=False)
    assert wrong(call) == ["no warning with the call's id"]


def test_an_apology_that_breaks_off_and_goes_on_is_one() -> None:
    first, second = words.APOLOGY.split()
    halves = [part("apology", first, 2000.0, 2400.0), part("apology", second, 3000.0, 3400.0)]
    assert wrong(outcome(ALONE, *halves, degraded="server exhausted")) == []
    twice = [part("apology", words.APOLOGY, at, at + 800.0) for at in (2000.0, 3500.0)]
    assert wrong(outcome(ALONE, *twice, degraded="server exhausted")) == ["2 apologies"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (" ".join(ANSWER_WORDS[4:]), f"the transcript lacks {' '.join(ANSWER_WORDS[:4])}"),
        (
            " ".join([*ANSWER_WORDS, ANSWER_WORDS[0]]),
            f"the transcript has too much: {ANSWER_WORDS[0]}",
        ),
    ],
)
def test_a_transcript_that_is_not_what_was_heard_is_told(line: str, told: str) -> None:
    call = outcome(REFUSED, ANSWER, degraded="auth")
    call.transcript[1] = f"assistant: {line}"
    assert wrong(call) == [told]


def test_after_an_apology_server_and_caller_may_hang_up_in_the_same_moment() -> None:
    call = outcome(
        ALONE, part("apology", words.APOLOGY, 2000.0, 2800.0), degraded="server exhausted"
    )
    call.record["end_cause"] = "provider_failed"
    assert wrong(call) == []
    answered = outcome(REFUSED, ANSWER, degraded="auth")
    answered.record["end_cause"] = "provider_failed"
    assert wrong(answered) == ["end cause provider_failed"]


@virtual_time
async def test_a_loop_that_stands_still_is_noticed() -> None:
    stillness = Stillness()
    watch = asyncio.create_task(stillness.watch())
    await asyncio.sleep(10)
    assert stillness.total_seconds == 0
    running_loop().stall(0.7)
    await asyncio.sleep(1)
    assert stillness.total_seconds == pytest.approx(0.7, abs=0.03)
    watch.cancel()
    await asyncio.wait([watch])
