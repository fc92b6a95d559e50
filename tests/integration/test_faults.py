"""Every fault of every vendor in a real call: what the caller heard, and what was kept of it.

The calls of all tests are placed at once, many side by side, as ``python -m bench.faults`` places
them; each test then looks at one. See ``bench/faults/catalogue.py`` for the faults.
"""

import asyncio

import pytest

from bench.faults.catalogue import Scenario, catalogue
from bench.faults.report import wrong, wrong_beside
from bench.faults.town import Results, run_catalogue

SCENARIOS = list(catalogue())
AT_ONCE = 16
#: The limits are of a machine that has nothing else to do.
MARGIN_SECONDS = 1.0


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """All calls."""
    return asyncio.run(run_catalogue(SCENARIOS, tmp_path_factory.mktemp("faults"), at_once=AT_ONCE))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_vendor_fails(results: Results, scenario: Scenario) -> None:
    outcome = results.outcomes[SCENARIOS.index(scenario)]
    assert outcome.scenario == scenario
    told = (outcome.heard, outcome.recorded(), outcome.transcript)
    assert wrong(outcome, margin_seconds=MARGIN_SECONDS) == [], told


def test_others_notice_nothing(results: Results) -> None:
    # One whose call breaks off is not among them.
    assert [wrong_beside(each, busy=True) for each in results.bystanders] == [[], []]
    silences = [silence for each in results.bystanders for silence in each.silences]
    assert max(silences) < 1.0 + MARGIN_SECONDS


def test_readiness_names_the_vendors_that_fail(results: Results) -> None:
    last = SCENARIOS[-1].provider
    assert any(last in told for told in results.degraded), results.degraded


def test_every_failure_is_counted_once(results: Results) -> None:
    assert results.counted == results.recorded


def test_no_vendor_is_sent_what_it_does_not_understand(results: Results) -> None:
    assert results.violations == []
