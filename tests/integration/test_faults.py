"""Every fault of every vendor in a real call: what the caller heard, and what was kept of it.

The calls of all tests are placed at once, many side by side, as ``python -m bench.faults`` places
them; each test then looks at one. See ``bench/faults/catalogue.py`` for the faults.

Callers and vendors live in the test's own process. Where that process or the server stood still
in a call, because something else used the machine, a vendor may have been late that was to be in
time. Such a call, if it was not as it should be, is placed once more, with fewer beside it. What
else the machine did to a call cannot be told: one that was not disturbed in this way has to be
right in each of three more calls (``tests/tries.py``). ``python -m bench.faults`` forgives nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.faults.calls import DISTURBED_SECONDS, Bystander, Outcome
from bench.faults.catalogue import Scenario, catalogue
from bench.faults.report import wrong, wrong_beside
from bench.faults.town import Results, run_catalogue
from tests.tries import Tries

SCENARIOS = list(catalogue())
AT_ONCE = 16
#: In each further round, of which there are at most so many.
FEWER_AT_ONCE, MOST_AGAIN = 3, 5
#: Where nobody's call is to be placed again but bystanders': beside them.
FEW = 6
#: The limits are of a machine that has nothing else to do.
MARGIN_SECONDS = 1.0


@dataclass
class Rounds:
    """What came of all rounds, and who was beside them in the latest."""

    towns: list[Results] = field(default_factory=list)
    bystanders: list[Bystander] = field(default_factory=list)
    tries: dict[str, Tries] = field(
        default_factory=lambda: {each.name: Tries() for each in SCENARIOS}
    )
    wrong: defaultdict[str, list[Outcome]] = field(default_factory=lambda: defaultdict(list))

    def place(self, scenarios: Sequence[Scenario], folder: Path, *, beside: bool) -> None:
        """One round."""
        at_once = FEWER_AT_ONCE if self.towns else AT_ONCE
        bystanders = 2 if beside else 0
        town = asyncio.run(run_catalogue(scenarios, folder, at_once=at_once, bystanders=bystanders))
        self.towns.append(town)
        for each in town.outcomes:
            is_wrong = bool(wrong(each, margin_seconds=MARGIN_SECONDS))
            self.tries[each.scenario.name].add(wrong=is_wrong, disturbed=each.disturbed)
            if is_wrong:
                self.wrong[each.scenario.name].append(each)
        if beside:
            self.bystanders = town.bystanders

    @property
    def unsure(self) -> list[Scenario]:
        """Whose call is to be placed again."""
        return [each for each in SCENARIOS if self.tries[each.name].is_unsure]

    @property
    def unsure_beside(self) -> bool:
        """Whether bystanders noticed something while the machine stood still, or the server."""
        marks = [mark for each in self.bystanders for mark in each.record["degraded"]]
        blocked = any(mark["kind"] == "blocked" for mark in marks)
        stood_still = blocked or self.towns[-1].stood_still_seconds >= DISTURBED_SECONDS
        return stood_still and bool(noticed(self.bystanders))


def noticed(bystanders: Sequence[Bystander]) -> list[str]:
    """What two people noticed whose vendors were well."""
    found = [what for each in bystanders for what in wrong_beside(each, busy=True)]
    if len(bystanders) != 2:
        found.append("a call beside the others broke off")
    silences = [silence for each in bystanders for silence in each.silences]
    if max(silences, default=0.0) >= 1.0 + MARGIN_SECONDS:
        found.append(f"an answer came after {max(silences):.1f} s")
    return found


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    """All calls."""
    placed = Rounds()
    placed.place(SCENARIOS, tmp_path_factory.mktemp("faults"), beside=True)
    for _ in range(MOST_AGAIN):
        again, beside = placed.unsure, placed.unsure_beside
        if not again and not beside:
            break
        folder = tmp_path_factory.mktemp("faults-again")
        placed.place(again or SCENARIOS[:FEW], folder, beside=beside)
    return placed


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_vendor_fails(rounds: Rounds, scenario: Scenario) -> None:
    if not rounds.tries[scenario.name].is_good:
        pytest.fail("\n".join(map(told, rounds.wrong[scenario.name])), pytrace=False)


def told(outcome: Outcome) -> str:
    """A call that was not as it should be, with what is wrong first."""
    lines = [
        "; ".join(wrong(outcome, margin_seconds=MARGIN_SECONDS)),
        f"heard: {outcome.heard}",
        f"recorded: {', '.join(outcome.recorded())}",
        f"the callers' process stood still for {outcome.stood_still_seconds:.1f} s",
        *outcome.transcript,
    ]
    return "\n".join(lines)


def test_others_notice_nothing(rounds: Rounds) -> None:
    # One whose call breaks off is not among them.
    assert noticed(rounds.bystanders) == []


def test_readiness_names_the_vendors_that_fail(rounds: Rounds) -> None:
    last, degraded = SCENARIOS[-1].provider, rounds.towns[0].degraded
    assert any(last in told for told in degraded), degraded


def test_every_failure_is_counted_once(rounds: Rounds) -> None:
    for town in rounds.towns:
        assert town.counted == town.recorded


def test_no_vendor_is_sent_what_it_does_not_understand(rounds: Rounds) -> None:
    assert [text for town in rounds.towns for text in town.violations] == []
