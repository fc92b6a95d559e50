"""What asking the backend and telling others adds to ``errors_total``."""

import pytest
from prometheus_client import REGISTRY

from sessions import metrics


def errors(stage: str, kind: str) -> float:
    """``errors_total`` of that kind."""
    labels = {"stage": stage, "kind": kind}
    return REGISTRY.get_sample_value("errors_total", labels) or 0.0


@pytest.mark.parametrize("outcome", ["found", "absent", "delivered"])
def test_a_success_is_no_error(outcome: str) -> None:
    metrics.report_attempted("webhook", "delivered")
    if outcome != "delivered":
        metrics.agent_fetched(outcome)
        metrics.credential_fetched(outcome, 0.1)
    assert errors("backend", outcome) == errors("webhook", "delivered") == 0


def test_a_failure_is_counted_where_it_happened() -> None:
    before = errors("backend", "backend_timeout"), errors("webhook", "unreachable")
    metrics.agent_fetched("backend_timeout")
    metrics.credential_fetched("backend_timeout", 3.0)
    metrics.report_attempted("webhook", "unreachable")
    after = errors("backend", "backend_timeout"), errors("webhook", "unreachable")
    assert after == (before[0] + 2, before[1] + 1)
