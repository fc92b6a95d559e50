"""The pure part of the benchmark: percentiles, ratios, table, notes, verdicts."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import (
    ECHO,
    MISSED,
    OURS,
    PLAIN,
    Figures,
    Greeting,
    added_mib_per_call,
    as_json,
    figures_from,
    notes,
    percentile,
    ratio,
    report,
    table,
    verdicts,
)

_GOOD = Figures(
    system=OURS,
    calls=24,
    completed=24,
    turns=96,
    unanswered=0,
    response_p50_ms=300.0,
    response_p95_ms=400.0,
    gaps=0,
    longest_gap_ms=0.0,
    cores_per_call=0.02,
    whole_cores_per_call=0.03,
    mib_per_call=2.0,
    steady=True,
    other_cores=0.5,
    waited=0.01,
    caller_late_ms=3.0,
    violations={},
    failures={},
)
_SUMMARY: Mapping[str, Any] = {
    "calls": 10,
    "completed": 9,
    "failures": {"CallClosed: 1011": 1},
    "call_seconds": 200.0,
    "turns": 30,
    "unanswered": 2,
    "response_ms": {"count": 28, "p50": 410.0, "p95": 500.0, "max": 700.0},
    "gaps": {"count": 3, "longest_ms": 44.0, "total_ms": 90.0, "calls": 2},
    "violations": {"not JSON": 4},
    "caller_late_ms": 12.0,
}


def row(**changes: Any) -> Figures:
    """Good figures, but for the changes."""
    return dataclasses.replace(_GOOD, **changes)


def cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table's body."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.95, 95), (0.0, 1), (1.0, 100), (0.991, 100)]
)
def test_percentile_is_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.5) is None


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_percentile_is_one_of_the_values_and_enough_lie_below(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(each <= found for each in values) >= share * len(values) - 1e-6


@pytest.mark.parametrize(
    ("value", "base", "expected"),
    [(1.0, 4.0, 0.25), (0.0, 4.0, 0.0), (None, 4.0, None), (1.0, None, None), (1.0, 0.0, None)],
)
def test_ratio(value: float | None, base: float | None, expected: float | None) -> None:
    assert ratio(value, base) == expected


def test_a_negative_growth_of_memory_has_no_ratio() -> None:
    assert ratio(-0.5, 20.0) is None


def test_memory_is_counted_from_one_live_call() -> None:
    assert added_mib_per_call(11, live_mib=150.0, one_live_mib=130.0, idle_mib=100.0) == 2.0


def test_memory_of_the_first_call_is_counted_from_before_it() -> None:
    assert added_mib_per_call(1, live_mib=135.0, one_live_mib=130.0, idle_mib=100.0) == 35.0


def make(*, steady: bool = True) -> Figures:
    """Figures from a summary of ten calls."""
    return figures_from(
        PLAIN,
        _SUMMARY,
        cores=0.7,
        whole_cpu_seconds=20.0,
        mib_per_call=40.0,
        steady=steady,
        other_cores=0.3,
        waited=0.2,
    )


def test_figures_join_the_load_and_the_cost() -> None:
    figures = make()
    assert figures.cores_per_call == pytest.approx(0.07)
    assert figures.whole_cores_per_call == pytest.approx(0.1)
    assert (figures.completed, figures.unanswered, figures.gaps) == (9, 2, 3)
    assert (figures.response_p50_ms, figures.longest_gap_ms) == (410.0, 44.0)


def test_cost_is_missing_where_not_all_calls_were_live() -> None:
    figures = make(steady=False)
    assert figures.cores_per_call is None
    assert figures.mib_per_call is None
    assert cells(table([figures]))[0][6:8] == [MISSED, MISSED]


def test_the_table_has_each_runs_ratio_to_the_plain_bot_at_as_many_calls() -> None:
    plain = row(system=PLAIN, calls=10, response_p50_ms=600.0, cores_per_call=0.08)
    ours = row(calls=10, response_p50_ms=300.0, cores_per_call=0.02, mib_per_call=1.0)
    body = cells(table([ours, plain]))
    assert body[0] == [
        *(OURS, "10", "300", "400", "0", "0", "0.0200", "1.0"),
        *("0.50", "0.25", "0.50"),
    ]
    assert body[1][8:] == ["1.00", "1.00", "1.00"]


def test_without_a_plain_run_at_as_many_calls_there_is_no_ratio() -> None:
    body = cells(table([row(calls=24), row(system=PLAIN, calls=20)]))
    assert [each[1] for each in body] == ["20", "24"]
    assert body[1][8:] == ["–", "–", "–"]


def test_a_latency_that_nothing_gave_is_printed_as_missed() -> None:
    body = cells(table([row(response_p50_ms=None, response_p95_ms=None)]))
    assert body[0][2:4] == [MISSED, MISSED]


def test_every_row_is_as_wide_as_the_head() -> None:
    lines = table([_GOOD, row(system=ECHO, mib_per_call=None)]).splitlines()
    assert {line.count("|") for line in lines} == {12}


def test_nothing_is_noted_of_good_runs() -> None:
    assert notes([_GOOD]) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"completed": 22, "failures": {"CallTimeout: x": 2}}, "2 calls failed: 2 × CallTimeout"),
        ({"unanswered": 5}, "5 of 96 turns were not answered"),
        ({"steady": False, "cores_per_call": None}, "not all calls were live"),
        ({"violations": {"rtvi": 9, "odd": 1}}, "10 messages that the carrier does not know"),
        ({"waited": 0.31}, "without a core for 31 % of the time"),
        ({"gaps": 2, "longest_gap_ms": 40.0, "caller_late_ms": 30.0}, "callers' own clock"),
    ],
)
def test_what_a_reader_must_know_is_noted(changes: dict[str, Any], expected: str) -> None:
    (note,) = notes([row(**changes)])
    assert expected in note
    assert note.startswith(f"- {OURS}, 24 calls")


def test_gaps_much_longer_than_the_callers_lateness_are_the_servers() -> None:
    assert notes([row(gaps=2, longest_gap_ms=40.0, caller_late_ms=5.0)]) == []


def test_an_echo_owes_no_answer() -> None:
    assert notes([row(system=ECHO, unanswered=5)]) == []


def met(rows: list[Figures], greetings: list[Greeting]) -> list[bool | None]:
    """What became of each target."""
    return [verdict.met for verdict in verdicts(rows, greetings)]


def test_targets_that_are_met() -> None:
    assert met([_GOOD], [Greeting(OURS, 2000.0, 5, 3.0, 9.0)]) == [True] * 5


def test_a_target_is_met_at_its_limit() -> None:
    limit = row(cores_per_call=0.025, mib_per_call=4.0)
    assert met([limit], [Greeting(OURS, 2000.0, 5, 3.0, 100.0)]) == [True] * 5


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"cores_per_call": 0.0251}, 0),
        ({"mib_per_call": 4.01}, 1),
        ({"gaps": 1}, 2),
        ({"completed": 23}, 3),
        ({"unanswered": 1}, 3),
    ],
)
def test_each_target_can_be_missed(changes: dict[str, Any], place: int) -> None:
    found = verdicts([row(**changes)], [])
    assert [verdict.met for verdict in found] == [each != place for each in range(4)]
    assert found[place].line().endswith(f": {MISSED}")


def test_a_figure_that_is_missing_is_a_target_missed() -> None:
    found = verdicts([row(steady=False, cores_per_call=None, mib_per_call=None)], [])
    assert found[0].met is None
    assert found[0].line().endswith(f"{MISSED} (target 0.025 or less): {MISSED}")


def test_one_greeting_that_never_came_is_a_target_missed() -> None:
    assert met([], [Greeting(OURS, 2000.0, 5, 3.0, None)]) == [None]


def test_targets_are_held_against_the_most_calls_of_this_server() -> None:
    rows = [row(calls=1, cores_per_call=0.9), row(), row(system=PLAIN, calls=100, gaps=99)]
    assert met(rows, [Greeting(PLAIN, 2000.0, 5, 4000.0, 5000.0)]) == [True] * 4


def test_the_report_has_header_table_greetings_and_verdicts() -> None:
    greetings = [Greeting(OURS, 2000.0, 5, 3.0, 9.0), Greeting(PLAIN, 2000.0, 5, 4100.0, None)]
    text = report("two cores", [_GOOD, row(system=PLAIN)], greetings)
    assert text.startswith("two cores\n\n| system |")
    assert f"- {PLAIN}: 4100 ms (worst {MISSED}, 5 calls)" in text
    assert "- gaps heard at 24 calls: 0 (target none): met" in text


def test_the_figures_are_written_as_json() -> None:
    told = as_json({"cores": 2}, [_GOOD], [Greeting(OURS, 2000.0, 5, 3.0, 9.0)])
    read = json.loads(json.dumps(told))
    assert read["runs"][0]["cores_per_call"] == 0.02
    assert read["greetings"][0]["max_ms"] == 9.0
    assert [verdict["met"] for verdict in read["verdicts"]] == [True] * 5
