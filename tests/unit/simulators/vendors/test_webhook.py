"""The simulated webhook receiver believes nothing that is not signed, recent and whole."""

import hashlib
import hmac
import json
import time
from typing import Any

import aiohttp
import pytest

from simulators.webhook import WebhookSimulator

CALL: dict[str, Any] = {
    "call_id": "s-1",
    "carrier_call_id": "c-1",
    "agent_id": "helpline",
    "agent_name": "Helpline",
    "direction": "inbound",
    "from_number": None,
    "to_number": None,
    "started_at": "2026-11-01T06:30:00.000+00:00",
    "labels": {},
}
EVENT: dict[str, Any] = {
    "id": "9b1f2c6e-3f0a-5f0e-9d53-0c6f4f1f8a11",
    "type": "call.started",
    "time": "2026-11-01T06:30:00.000+00:00",
    "data": CALL,
}


async def post(
    http: aiohttp.ClientSession,
    simulator: WebhookSimulator,
    event: Any = EVENT,
    *,
    at: int | None = None,
    secret: str | None = None,
    key: str = EVENT["id"],
) -> int:
    """The status of a signed request."""
    body = json.dumps(event).encode()
    sent_at = int(time.time()) if at is None else at
    digest = hmac.new(
        (secret or simulator.secret).encode(), b"%d.%b" % (sent_at, body), hashlib.sha256
    )
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "X-Signature": f"t={sent_at},v1={digest.hexdigest()}",
    }
    async with http.post(simulator.base_url, data=body, headers=headers) as response:
        return response.status


async def test_an_event_is_taken(http: aiohttp.ClientSession) -> None:
    async with WebhookSimulator() as simulator:
        assert await post(http, simulator) == 204
        assert simulator.told("c-1") == simulator.told("s-1") == ["call.started"]
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("changes", "options", "status"),
    [
        ({}, {"secret": "another"}, 401),
        ({}, {"at": 1_000_000_000}, 401),
        ({}, {"key": "another"}, 422),
        ({"type": "call.ended"}, {}, 422),
        ({"type": "call.paused"}, {}, 422),
        ({"id": "7"}, {}, 422),
        ({"time": "2026-11-01T06:30:00"}, {}, 422),
        ({"data": {}}, {}, 422),
        ({"more": 1}, {}, 422),
    ],
)
async def test_what_is_refused(
    changes: dict[str, Any], options: dict[str, Any], status: int, http: aiohttp.ClientSession
) -> None:
    async with WebhookSimulator() as simulator:
        assert await post(http, simulator, EVENT | changes, **options) == status
        assert len(simulator.violations) == 1 and simulator.events == []


async def test_an_unsigned_request(http: aiohttp.ClientSession) -> None:
    async with (
        WebhookSimulator() as simulator,
        http.post(simulator.base_url, json=EVENT) as response,
    ):
        assert response.status == 401
