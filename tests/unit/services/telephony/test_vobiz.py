"""Vobiz's recordings: asked for as documented, and its token goes nowhere else."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from config.errors import CallControlError
from services.telephony.vobiz import DEFAULT_LIMITS, VobizRecordings
from services.telephony.vobiz_files import FetchLimits, VobizAccount
from simulators.behaviour import Behaviour
from simulators.vobiz import VobizApiSimulator

CALL = "6d1f0f3e-0000-4000-8000-000000000001"
PUBLIC = "https://files.example.in/a.mp3?signature=x"


class Elsewhere:
    """Stands for the session that reaches public hosts; no test does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    @asynccontextmanager
    async def request(
        self, _method: str, url: URL, *, headers: Mapping[str, str], **_options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        self.asked.append((str(url), headers))
        raise aiohttp.ClientConnectionError
        yield


class Desk:
    """A client, whom it asks, and who else there is."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        vobiz: VobizApiSimulator,
        limits: FetchLimits = DEFAULT_LIMITS,
        **options: Any,
    ):
        self.elsewhere = Elsewhere()
        self.vobiz = vobiz
        account = VobizAccount(
            api_base=vobiz.base_url, auth_id="MA_EXAMPLE", auth_token=SecretStr("t"), **options
        )
        self.client = VobizRecordings(account, http, self.elsewhere, limits)  # type: ignore[arg-type]

    async def recorded(self) -> str:
        """Where the file of a recording lies."""
        recording_id = await self.client.start(CALL, seconds=90, stereo=True)
        await self.client.stop(CALL)
        while (url := await self.client.find(recording_id)) is None:
            pass
        return url

    def asked(self, method: str) -> list[str]:
        return [r.path for r in self.vobiz.requests if r.method == method]


@pytest.fixture
async def vobiz() -> AsyncIterator[VobizApiSimulator]:
    async with VobizApiSimulator(api_key="t") as running:
        yield running


async def refused(desk: Desk, url: str, path: Path) -> str:
    with pytest.raises(CallControlError) as caught:
        await desk.client.fetch(url, path)
    return caught.value.code


async def test_a_recording_is_started_stopped_found_and_fetched(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, tmp_path: Path
) -> None:
    desk = Desk(http, vobiz)
    url = await desk.recorded()
    fetched = await desk.client.fetch(url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == vobiz.sound
    assert fetched.size_bytes == len(vobiz.sound)
    assert fetched.sha256 == hashlib.sha256(vobiz.sound).hexdigest()
    (recording,) = vobiz.recordings
    assert (recording.call_id, recording.ended, recording.looks) == (CALL, True, 2)
    assert recording.body == {
        "time_limit": 90,
        "file_format": "mp3",
        "record_channel_type": "stereo",
    }
    await desk.client.stop("another-call")
    assert vobiz.violations == []


async def test_a_media_host_that_is_set_is_given_the_token_too(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, tmp_path: Path
) -> None:
    async with VobizApiSimulator(api_key="t") as media:
        vobiz.recording_url = f"http://127.0.0.1:{media.port}/media/r.mp3"
        desk = Desk(http, vobiz, media_base=f"http://127.0.0.1:{media.port}")
        assert await refused(desk, await desk.recorded(), tmp_path / "a") == "carrier_not_found"
        (request,) = media.requests
        assert request.headers["X-Auth-Token"] == "t" and media.violations == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/media/r.mp3",
        "http://127.0.0.1:{vobiz}@127.0.0.1:{port}/media/r.mp3",
        "http://user:word@127.0.0.1:{vobiz}/media/r.mp3",
        "http://localhost:{vobiz}/media/r.mp3",
        "https://127.0.0.1:{vobiz}/media/r.mp3",
        "https://localhost/r.mp3",
        "https://sub.localhost/r.mp3",
        "https://169.254.169.254/latest",
        "https://[::1]/r.mp3",
        "http://files.example.in/a.mp3",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/media/r.mp3",
        "/media/r.mp3",
        "http://[",
        "r.mp3",
        "",
    ],
)
@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("redirected", [False, True])
async def test_nothing_is_fetched_from_where_it_should_not(
    http: aiohttp.ClientSession,
    vobiz: VobizApiSimulator,
    tmp_path: Path,
    url: str,
    foreign: bool,
    redirected: bool,
) -> None:
    if redirected and url in ("/media/r.mp3", "r.mp3", ""):
        pytest.skip("within Vobiz itself")
    async with VobizApiSimulator() as evil:
        address = url.format(port=evil.port, vobiz=vobiz.port)
        desk = Desk(http, vobiz, foreign=foreign)
        if redirected:
            vobiz.redirect, address = address, await desk.recorded()
        assert await refused(desk, address, tmp_path / "a") in ("carrier_foreign", "carrier_answer")
        assert evil.requests == [] and desk.elsewhere.asked == []
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("redirected", [False, True])
async def test_another_host_is_asked_without_the_token_where_that_is_allowed(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, tmp_path: Path, redirected: bool
) -> None:
    strict, desk = Desk(http, vobiz), Desk(http, vobiz, foreign=True)
    address = PUBLIC
    if redirected:
        vobiz.redirect, address = PUBLIC, await desk.recorded()
    assert await refused(strict, address, tmp_path / "a") == "carrier_foreign"
    assert strict.elsewhere.asked == []
    assert await refused(desk, address, tmp_path / "a") == "carrier_unreachable"
    assert desk.elsewhere.asked == [(PUBLIC, {})]


async def test_redirects_come_to_an_end(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, tmp_path: Path
) -> None:
    desk = Desk(http, vobiz)
    url = await desk.recorded()
    vobiz.redirect = url
    assert await refused(desk, url, tmp_path / "a") == "carrier_refused"


async def test_a_file_that_is_none_is_not_taken(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, tmp_path: Path
) -> None:
    desk = Desk(http, vobiz, FetchLimits(file_bytes=1000))
    url = await desk.recorded()
    assert await refused(desk, url, tmp_path / "a") == "carrier_too_large"
    vobiz.sound = b""
    assert await refused(desk, url, tmp_path / "a") == "carrier_answer"
    vobiz.sound, vobiz.content_type = b"<html>", "text/html"
    assert await refused(desk, url, tmp_path / "a") == "carrier_answer"


async def test_a_file_that_does_not_come_is_given_up(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, tmp_path: Path
) -> None:
    desk = Desk(http, vobiz, FetchLimits(seconds=0.05))
    url = await desk.recorded()
    vobiz.behave(Behaviour(accept_delay_ms=60_000), path=URL(url).path)
    assert await refused(desk, url, tmp_path / "a") == "carrier_unreachable"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "carrier_auth"),
        (404, "carrier_not_found"),
        (429, "carrier_busy"),
        (503, "carrier_failed"),
        (302, "carrier_refused"),
    ],
)
async def test_what_a_refusal_means(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, status: int, code: str
) -> None:
    vobiz.behave(Behaviour(refuse_status=status))
    with pytest.raises(CallControlError) as caught:
        await Desk(http, vobiz).client.start(CALL, seconds=90, stereo=False)
    assert caught.value.code == code


@pytest.mark.parametrize("call_id", ["..", "../../Application/1", "a/b", "a?b", "", "a" * 200])
async def test_an_id_cannot_leave_its_place(
    http: aiohttp.ClientSession, vobiz: VobizApiSimulator, call_id: str
) -> None:
    desk = Desk(http, vobiz)
    with pytest.raises(CallControlError):
        await desk.client.start(call_id, seconds=90, stereo=False)
    with pytest.raises(CallControlError):
        await desk.client.find(call_id)
    assert vobiz.requests == []
