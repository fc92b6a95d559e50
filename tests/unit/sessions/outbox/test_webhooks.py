"""Webhooks: signatures that the documented example verifies, and where requests may not go."""

import re
import time
from pathlib import Path
from socket import AF_INET, AddressFamily
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from config.problems import ConfigFileError
from config.settings import load_settings
from config.webhooks import WEBHOOK_EVENTS, WebhookSettings, is_public
from sessions.outbox.courier import DeliveryError
from sessions.outbox.report import Report
from sessions.outbox.signature import signature
from sessions.outbox.webhooks import (
    PrivateAddressError,
    PublicResolver,
    WebhookReceiver,
    webhook_session,
)
from simulators.behaviour import Behaviour
from simulators.webhook import WebhookSimulator

ROOT = Path(__file__).parents[4]
SECRET = "a-secret-of-sixteen"
REPORT = Report(key="k", method="POST", path="", body='{"id":"k"}')


def documented() -> Any:
    """The function that the page shows to receivers."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n# verify.py\n(.*?)```", page, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(compile(found[1], "verify.py", "exec"), names)
    return names["is_genuine"]


def test_the_documented_example_verifies_what_is_sent() -> None:
    is_genuine = documented()
    body = '{"text":"नमस्ते"}'.encode()
    now = int(time.time())
    header = signature(SecretStr(SECRET), body, now)
    assert re.fullmatch(r"t=\d+,v1=[0-9a-f]{64}", header)
    assert is_genuine(SECRET, header, body)
    assert is_genuine(SECRET, header, body, now=now + 299)
    assert not is_genuine(SECRET, header, body, now=now + 301)
    assert not is_genuine(SECRET, header, body + b" ")
    assert not is_genuine("another", header, body)
    assert not is_genuine(SECRET, header.replace(f"t={now}", f"t={now + 1}"), body)
    for nonsense in ("", "t=,v1=", "v1=é", "x", f"t={now}"):
        assert not is_genuine(SECRET, nonsense, body)


def receiver(url: str, http: aiohttp.ClientSession, **changes: Any) -> WebhookReceiver:
    """One for that address."""
    return WebhookReceiver(WebhookSettings(url=url, secret=SecretStr(SECRET), **changes), http)


async def failure(url: str, **changes: Any) -> DeliveryError:
    """How a delivery to that address fails."""
    async with webhook_session(allow_private=changes.get("allow_private", False)) as http:
        with pytest.raises(DeliveryError) as caught:
            await receiver(url, http, **changes).deliver(REPORT)
    return caught.value


@pytest.mark.parametrize(
    ("status", "final"),
    [(400, True), (403, False), (404, False), (410, True), (422, True)]
    + [(status, False) for status in (301, 302, 307, 401, 408, 429, 500, 503)],
)
async def test_only_a_yes_is_a_yes(status: int, final: bool) -> None:
    async with WebhookSimulator(behaviour=Behaviour(refuse_status=status)) as simulator:
        error = await failure(simulator.base_url)
        assert error.final is final and str(status) in error.message
        assert len(simulator.connections) == 1


async def test_redirects_are_not_followed() -> None:
    visited: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        visited.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_post("/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    error = await failure(f"http://127.0.0.1:{runner.addresses[0][1]}/calls")
    await runner.cleanup()
    assert visited == ["/calls"] and "redirects are not followed" in error.message


async def test_a_yes_is_a_yes_though_the_rest_of_it_is_lost() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return response

    app = web.Application()
    app.router.add_post("/calls", answer)
    async with TestServer(app) as server, webhook_session(allow_private=False) as http:
        await receiver(str(server.make_url("/calls")), http).deliver(REPORT)


async def test_a_receiver_may_say_when_to_come_again() -> None:
    busy = Behaviour(refuse_status=429, retry_after_seconds=7)
    async with WebhookSimulator(behaviour=busy) as simulator:
        assert (await failure(simulator.base_url)).after_seconds == 7


async def test_nobody_listens_or_the_line_breaks() -> None:
    async with WebhookSimulator(secret=SECRET) as simulator:
        url = simulator.base_url
        simulator.behave(Behaviour(refuse_status=503))
        assert (await failure(url)).code == "failed"
    error = await failure(url)
    assert error.code == "unreachable" and not error.final


class Names(AbstractResolver):
    """A name that leads where a test wants."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        """As the base."""
        return [
            ResolveResult(hostname=host, host=each, port=port, family=AF_INET, proto=0, flags=0)
            for each in self.addresses
        ]

    async def close(self) -> None:
        """As the base."""


async def test_a_name_that_leads_into_a_private_network_is_not_followed() -> None:
    public = PublicResolver(Names("93.184.216.34"))
    assert await public.resolve("example.in", 443)
    for addresses in (("10.0.0.1",), ("93.184.216.34", "127.0.0.1"), ("169.254.169.254",)):
        with pytest.raises(PrivateAddressError):
            await PublicResolver(Names(*addresses)).resolve("example.in", 443)


async def test_the_connection_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with WebhookSimulator() as simulator:
        port = urlsplit(simulator.base_url).port
        connector = aiohttp.TCPConnector(resolver=PublicResolver(Names("127.0.0.1")))
        async with aiohttp.ClientSession(connector=connector) as http:
            hook = receiver("https://crm.example.in", http)
            with pytest.raises(DeliveryError) as caught:
                # The address of the settings with the port of somebody who would answer.
                hook._settings = hook._settings.model_copy(
                    update={"url": f"http://crm.example.in:{port}/calls"}
                )
                await hook.deliver(REPORT)
        assert caught.value.code == "private_address" and not caught.value.final
        assert simulator.connections == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "::",
        "::7f00:1",
        "::10.0.0.1",
        "::192.168.1.1",
        "::169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::192.168.1.1",
        "64:ff9b:1::8.8.8.8",
        "2002:a00:1::",
        "2002:7f00:1::1",
        "2002:c0a8:101::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo of 10.0.0.1
        "2001:0:4136:e378:8000:63bf:3f57:fefe",  # Teredo of 192.168.1.1
        "fec0::1",
        "ff02::1",
    ],
)
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2001:0:4136:e378:8000:63bf:f7f7:f7f7",  # Teredo of 8.8.8.8
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://crm.example.in"}, "must begin with https://"),
        ({"url": "https://10.1.2.3/x"}, "private network"),
        ({"url": "https://[::ffff:192.168.0.1]/x"}, "private network"),
        ({"url": "https://user:word@crm.example.in"}, "no user"),
        ({"url": "ftp://crm.example.in"}, "http:// or https://"),
        ({"secret": "short"}, "16 characters"),
        ({"events": []}, "events"),
        ({"events": ["call.paused"]}, "events"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_are_refused(changes: dict[str, Any], said: str) -> None:
    hook = {"url": "https://crm.example.in", "secret": SECRET, **changes}
    with pytest.raises(ConfigFileError) as caught:
        load_settings(env={}).changed({"webhooks": [hook]})
    assert said in caught.value.message
    assert SECRET not in caught.value.message


def test_settings_that_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "webhooks:\n"
        "  - url: https://crm.example.in/calls\n    secret: ${WEBHOOK_SECRET}\n"
        "  - {url: 'http://localhost:9000', secret: '${WEBHOOK_SECRET}', events: [call.ended]}\n"
        "  - {url: 'https://10.1.2.3', secret: '${WEBHOOK_SECRET}', allow_private: true}\n"
    )
    settings = load_settings(file, {"WEBHOOK_SECRET": SECRET})
    first, second, _ = settings.webhooks
    assert first.events == WEBHOOK_EVENTS and second.events == ("call.ended",)
    assert SECRET not in repr(settings)
    file.write_text(file.read_text().replace("http://localhost:9000", first.url))
    with pytest.raises(ConfigFileError, match="each url may stand once"):
        load_settings(file, {"WEBHOOK_SECRET": SECRET})


async def test_log_lines_name_the_host_alone() -> None:
    async with webhook_session(allow_private=False) as http:
        hook = receiver("https://crm.example.in/hooks/token-in-path", http)
        assert hook.name == "the webhook of crm.example.in"
        assert re.fullmatch(r"webhook-[0-9a-f]{12}", hook.folder)
