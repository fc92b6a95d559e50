"""What the carrier recorded comes to lie beside our own recording, and goes with it."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from bot.events import CallEnded, CallStarted
from config.agent import AgentConfig
from config.errors import CallControlError
from config.sections import VobizSettings
from serializer.codecs import PCM_8K
from services.telephony.vobiz import DEFAULT_LIMITS, VobizRecordings
from services.telephony.vobiz_files import FetchLimits, VobizAccount
from sessions import metrics
from sessions.carrier_files import CarrierOptions
from sessions.carrier_notes import FOLDER
from sessions.carrier_recordings import CarrierRecordings
from sessions.deletion import read_record
from sessions.erasure import NumberEraser
from sessions.facts import CallFacts
from sessions.journal_format import JournalHeader
from sessions.journal_header import journal_header
from sessions.keeper import RecordKeeper
from sessions.no_start import NeverBegun
from sessions.record import CallRecord
from sessions.retention import RetentionSweeper
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.vobiz import VobizApiSimulator
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import header
from tests.unit.sessions.test_keeper import write_call
from tests.until import until

OPTIONS = CarrierOptions(
    start_pause_seconds=0.01, first_pause_seconds=0.01, longest_pause_seconds=0.03
)
THEIRS = "+910000000001"


class Bench:
    """A data folder, a store, and a Vobiz."""

    def __init__(self, data: Path, vobiz: VobizApiSimulator) -> None:
        self.data = data
        self.vobiz = vobiz
        self.storage = FilesystemStorage(data / "store")
        self.amending = asyncio.Lock()
        self.changes: list[tuple[str, str]] = []

    async def changed(self, session_id: str, _key: str, record: CallRecord | None) -> None:
        assert record is not None and record.carrier_recording is not None
        self.changes.append((session_id, record.carrier_recording.state))

    @asynccontextmanager
    async def running(
        self,
        *,
        account: bool = True,
        options: CarrierOptions = OPTIONS,
        limits: FetchLimits = DEFAULT_LIMITS,
        **more: Any,
    ) -> AsyncIterator[CarrierRecordings]:
        """What a process has, from its start to its end."""
        async with aiohttp.ClientSession() as http:
            client = VobizRecordings(
                VobizAccount(
                    api_base=self.vobiz.base_url, auth_id="MA_EXAMPLE", auth_token=SecretStr("t")
                ),
                http,
                http,
                limits,
            )
            carrier = CarrierRecordings(
                self.data / FOLDER,
                client if account else None,
                self.storage,
                self.amending,
                on_changed=self.changed,
                options=options,
                **more,
            )
            await carrier.start()
            try:
                yield carrier
            finally:
                await carrier.close()

    async def store(self, head: JournalHeader) -> None:
        """What the keeper does with a call that has ended."""
        keeper = RecordKeeper(self.storage, self.data / "journal")
        await keeper.start()
        await keeper.finish(await write_call(self.data / "journal", head, "caller_hangup"))
        await keeper.close()

    async def record(self, head: JournalHeader) -> CallRecord:
        found = await read_record(self.storage, f"records/2026/11/01/{head.session_id}.json")
        assert found is not None
        return found

    async def state(self, head: JournalHeader) -> tuple[str, str]:
        told = (await self.record(head)).carrier_recording
        assert told is not None
        return told.state, told.detail

    def notes(self) -> list[str]:
        return sorted(path.name for path in (self.data / FOLDER).glob("*"))

    async def sounds(self) -> set[str]:
        return {info.key[-4:] async for info in self.storage.list_objects("recordings")}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with VobizApiSimulator(api_key="t") as vobiz:
        made = Bench(tmp_path, vobiz)
        yield made
        await made.storage.close()


def call(**changes: Any) -> JournalHeader:
    return header(
        carrier_call_id="cid", carrier_recording_seconds=960, from_number=THEIRS, **changes
    )


def begins(carrier: CarrierRecordings, head: JournalHeader) -> None:
    carrier.event(
        head,
        CallStarted(
            at_ms=0.0,
            carrier_call_id="cid",
            from_number=THEIRS,
            to_number=None,
            direction="inbound",
        ),
    )


def ends(carrier: CarrierRecordings, head: JournalHeader) -> None:
    carrier.event(head, CallEnded(at_ms=1.0, cause="caller_hangup"))


async def test_it_is_stored_beside_ours_and_named_in_the_record(bench: Bench) -> None:
    head = call()
    async with bench.running() as carrier:
        begins(carrier, head)
        await until(lambda: bench.vobiz.recordings)
        assert bench.vobiz.recordings[0].body["time_limit"] == 960
        assert not bench.vobiz.recordings[0].ended
        ends(carrier, head)
        await until(lambda: bench.vobiz.recordings[0].ended)
        await bench.store(head)
        await until(lambda: not bench.notes())
    told = (await bench.record(head)).carrier_recording
    assert told is not None and told.file is not None
    assert (told.state, told.recording_id) == ("stored", bench.vobiz.recordings[0].recording_id)
    assert told.file.key == f"2026/11/01/{head.session_id}.carrier.mp3"
    assert told.file.content_type == "audio/mpeg"
    assert await bench.storage.read("recordings", told.file.key) == bench.vobiz.sound
    assert told.file.sha256 == hashlib.sha256(bench.vobiz.sound).hexdigest()
    assert bench.changes == [(head.session_id, "stored")]
    assert bench.vobiz.violations == []


async def test_a_call_that_does_not_want_it_is_let_alone(bench: Bench) -> None:
    head = header(carrier_call_id="cid")
    async with bench.running() as carrier:
        begins(carrier, head)
        ends(carrier, head)
        await bench.store(head)
    assert bench.vobiz.requests == [] and bench.notes() == []
    assert (await bench.record(head)).carrier_recording is None


@pytest.mark.parametrize(
    ("wanted", "dialect", "call_id", "seconds"),
    [
        (True, "vobiz", "cid", 660),
        (False, "vobiz", "cid", 0),
        (True, "client", "cid", 0),
        (True, "vobiz", None, 0),
    ],
)
def test_which_calls_want_it(wanted: bool, dialect: str, call_id: str | None, seconds: int) -> None:
    agent = AgentConfig.model_validate(
        {
            "agent_id": "helpline",
            "language": "hi",
            "stt": {"provider": "offline"},
            "llm": {"provider": "script"},
            "tts": {"provider": "espeak"},
            "recording": {"carrier": wanted},
            "call": {"max_duration_seconds": 600},
        }
    )
    facts = CallFacts(direction="inbound", carrier_call_id=call_id)
    made = NeverBegun(agent=agent, facts=facts)
    head = journal_header(made, dialect, PCM_8K, PCM_8K)
    assert head.carrier_recording_seconds == seconds


async def test_it_is_fetched_after_a_restart_whenever_it_was(bench: Bench) -> None:
    """Before the call's end, before its record, and while Vobiz is away."""
    heads = [call(), call(), call()]
    patient = CarrierOptions(first_pause_seconds=1000)
    async with bench.running(options=patient) as carrier:
        for head in heads:
            begins(carrier, head)
        await until(lambda: len(bench.vobiz.recordings) == 3)
        await until(lambda: all(_begun(path) for path in (bench.data / FOLDER).glob("[!.]*.json")))
        ends(carrier, heads[0])
        ends(carrier, heads[1])
        await bench.store(heads[0])
    bench.vobiz.end_call("cid")
    assert len(bench.notes()) == 3
    (bench.data / FOLDER / f".part-{heads[0].session_id}").write_bytes(b"half")
    bench.vobiz.behave(Behaviour(refuse_status=503))
    async with bench.running():
        seen = len(bench.vobiz.requests)
        await until(lambda: len(bench.vobiz.requests) > seen + 2)
        assert [name for name in bench.notes() if name.startswith(".part")] == []
    bench.vobiz.behave(WELL_BEHAVED)
    async with bench.running() as carrier:
        await bench.store(heads[1])
        await bench.store(heads[2])
        await until(lambda: not bench.notes())
        await until(lambda: carrier.stats().waiting == 0)
    assert [await bench.state(head) for head in heads] == [("stored", "")] * 3


def _begun(path: Path) -> bool:
    return bool(json.loads(path.read_bytes()).get("recording_id"))


async def test_a_session_that_goes_on_with_the_call_goes_on_being_recorded(bench: Bench) -> None:
    first, second = call(), call()
    async with bench.running() as carrier:
        begins(carrier, first)
        begins(carrier, second)
        await until(lambda: len(bench.vobiz.recordings) == 2)
        ends(carrier, first)
        await until(lambda: carrier.stats().waiting == 1)
        assert not any(recording.ended for recording in bench.vobiz.recordings)
        ends(carrier, second)
        await until(lambda: all(recording.ended for recording in bench.vobiz.recordings))


async def test_a_recording_that_could_not_be_begun_is_told(bench: Bench) -> None:
    refused, nobody, again = call(), call(), call()
    bench.vobiz.behave_next(Behaviour(refuse_status=401))
    async with bench.running() as carrier:
        await _whole(bench, carrier, refused)
    async with bench.running(account=False) as carrier:
        await _whole(bench, carrier, nobody)
    assert await bench.state(refused) == (
        "failed",
        "Vobiz answered 401; check VOBIZ_AUTH_ID and VOBIZ_AUTH_TOKEN",
    )
    assert (await bench.state(nobody))[0] == "failed"
    assert bench.vobiz.recordings == []
    bench.vobiz.behave_next(Behaviour(refuse_status=429), Behaviour(refuse_status=503))
    async with bench.running() as carrier:
        await _whole(bench, carrier, again)
    assert await bench.state(again) == ("stored", "")


async def _whole(bench: Bench, carrier: CarrierRecordings, head: JournalHeader) -> None:
    begins(carrier, head)
    ends(carrier, head)
    await bench.store(head)
    told = [head.session_id]
    await until(lambda: [sid for sid, _ in bench.changes][-1:] == told and not bench.notes())


async def test_an_address_that_is_not_vobizs_is_not_asked(bench: Bench) -> None:
    head = call()
    async with VobizApiSimulator() as evil:
        bench.vobiz.recording_url = f"http://127.0.0.1:{evil.port}/media/r.mp3"
        async with bench.running() as carrier:
            begins(carrier, head)
            ends(carrier, head)
            await bench.store(head)
            await until(lambda: bench.vobiz.recordings and bench.vobiz.recordings[0].looks > 3)
        assert evil.requests == [] and await bench.state(head) == ("pending", "")
        bench.vobiz.recording_url = None
        async with bench.running():
            await until(lambda: not bench.notes())
    assert await bench.state(head) == ("stored", "")


async def test_what_never_comes_is_given_up(bench: Bench) -> None:
    head = call()
    bench.vobiz.looks = 10**9
    async with bench.running() as carrier:
        begins(carrier, head)
        ends(carrier, head)
        await bench.store(head)
        await until(lambda: bench.vobiz.recordings and bench.vobiz.recordings[0].looks > 2)
    async with bench.running(options=CarrierOptions(first_pause_seconds=0.01, give_up_seconds=0)):
        await until(lambda: not bench.notes())
    assert await bench.state(head) == ("failed", "it was not there in time")


async def test_a_file_that_is_too_large_is_fetched_once(bench: Bench) -> None:
    head = call()
    async with bench.running(limits=FetchLimits(file_bytes=10)) as carrier:
        begins(carrier, head)
        ends(carrier, head)
        await bench.store(head)
        # Nobody waits before it is asked for either.
        await until(lambda: bench.changes and carrier.stats().waiting == 0)
    assert await bench.state(head) == ("failed", "the recording is larger than 10 bytes")
    assert len([r for r in bench.vobiz.requests if "/media/" in r.path]) == 1
    assert bench.notes() == [] and await bench.sounds() == {".wav"}


def sweeper(bench: Bench, day: str) -> RetentionSweeper:
    return RetentionSweeper(bench.storage, bench.amending, today=lambda: date.fromisoformat(day))


async def test_it_is_deleted_with_ours_on_its_day(bench: Bench) -> None:
    stored, late = call(retention_days={"recording": 1}), call(retention_days={"recording": 1})
    async with bench.running() as carrier:
        await _whole(bench, carrier, stored)
        assert await bench.sounds() == {".wav", ".mp3"}
        bench.vobiz.looks = 10**9
        begins(carrier, late)
        ends(carrier, late)
        await bench.store(late)
        await until(lambda: len(bench.vobiz.recordings) == 2)
        await sweeper(bench, "2026-11-02").sweep()
        assert await bench.sounds() == set()
        bench.vobiz.looks = 0
        await until(lambda: not bench.notes())
    assert await bench.sounds() == set()
    assert [await bench.state(head) for head in (stored, late)] == [("deleted", "")] * 2


async def test_erasing_a_number_takes_it_too_and_what_is_still_to_come(bench: Bench) -> None:
    stored, late = call(), call()
    async with bench.running() as carrier:
        await _whole(bench, carrier, stored)
        bench.vobiz.looks = 10**9
        begins(carrier, late)
        ends(carrier, late)
        await bench.store(late)
        await until(lambda: len(bench.vobiz.recordings) == 2 and bench.vobiz.recordings[1].looks)
    proof, _ = await NumberEraser(bench.storage, bench.data).erase(THEIRS)
    assert proof.complete
    gone = {file.key for erased in proof.calls for file in erased.deleted}
    assert f"2026/11/01/{stored.session_id}.carrier.mp3" in gone
    assert [report.name for report in proof.reports] == [f"carrier/{late.session_id}.json"]
    bench.vobiz.looks = 0
    async with bench.running() as carrier:
        assert carrier.stats().waiting == 0
    assert await bench.sounds() == set() and bench.notes() == []
    for head in (stored, late):
        told = (await bench.record(head)).carrier_recording
        assert told is not None and (told.state, told.recording_id) == ("deleted", None)


def outcomes() -> dict[str, float]:
    return {
        name: metrics.CARRIER_RECORDINGS.labels(name)._value.get()
        for name in ("stored", "failed", "unwanted")
    }


async def test_what_is_to_come_is_counted(bench: Bench) -> None:
    head, gone, before = call(), call(), outcomes()
    clock = [1000.0]
    bench.vobiz.looks = 10**9
    async with bench.running(clock=lambda: clock[0]) as carrier:
        assert (carrier.stats().waiting, carrier.stats().oldest_seconds) == (0, 0.0)
        for each in (head, gone):
            begins(carrier, each)
            ends(carrier, each)
            await bench.store(each)
            clock[0] += 60
        await until(lambda: len(bench.vobiz.recordings) == 2 and bench.vobiz.recordings[1].looks)
        assert carrier.stats().waiting == 2
        assert carrier.stats().oldest_seconds >= 120
        await bench.storage.delete("transcripts", f"records/2026/11/01/{gone.session_id}.json")
        clock[0] += 31 * 24 * 3600  # Nobody waits for it any more.
        await until(lambda: carrier.stats().waiting == 0)
    assert (await bench.state(head))[0] == "failed"
    after = outcomes()
    assert {name: after[name] - before[name] for name in after} == {
        "stored": 0,
        "failed": 1,
        "unwanted": 1,
    }


async def test_a_call_whose_server_could_not_even_ask_says_so(bench: Bench) -> None:
    """Its journal says that a recording was wanted, and no note was put down."""
    head = call()
    async with bench.running() as carrier:
        keeper = RecordKeeper(bench.storage, bench.data / "journal", on_stored=carrier.stored)
        await keeper.start()
        await keeper.finish(await write_call(bench.data / "journal", head))
        await keeper.close()
        await until(lambda: bench.changes)
    assert bench.changes == [(head.session_id, "failed")]
    assert (await bench.state(head))[1].startswith("it was not asked for")
    assert (await bench.record(head)).end_cause == "crash"


@pytest.mark.parametrize(
    ("sound", "content_type"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"OggS" + bytes(30), "audio/ogg"),
        (b"ID3" + bytes(30), "audio/mpeg"),
    ],
)
async def test_it_is_told_as_what_it_is(bench: Bench, sound: bytes, content_type: str) -> None:
    head, bench.vobiz.sound = call(), sound
    async with bench.running() as carrier:
        await _whole(bench, carrier, head)
    told = (await bench.record(head)).carrier_recording
    assert told is not None and told.file is not None
    assert told.file.content_type == content_type
    stat = await bench.storage.stat("recordings", told.file.key)
    assert stat.content_type == content_type


async def test_the_account_is_shown_to_vobizs_own_hosts_only(bench: Bench) -> None:
    """As it is set without a word about hosts."""
    account = VobizAccount.from_settings(
        VobizSettings(auth_id="MA_EXAMPLE", auth_token=SecretStr("t"))
    )
    assert account is not None and not account.foreign
    assert (account.api_base, account.media_base) == (
        "https://api.vobiz.ai/api/v1",
        "https://media.vobiz.ai",
    )
    asked: list[tuple[str, str]] = []

    class Http:
        @asynccontextmanager
        async def request(
            self, _method: str, url: URL, *, headers: dict[str, str], **_options: Any
        ) -> AsyncIterator[aiohttp.ClientResponse]:
            asked.append((str(url.host), headers.get("X-Auth-Token", "")))
            raise aiohttp.ClientConnectionError
            yield

    client = VobizRecordings(account, Http(), Http())  # type: ignore[arg-type]
    codes = {}
    for url in (
        "https://media.vobiz.ai/a.mp3",
        "https://api.vobiz.ai/a.mp3",
        "http://media.vobiz.ai/a.mp3",
        "https://media.vobiz.ai:8443/a.mp3",
        "https://media.vobiz.ai.example.in/a.mp3",
        "https://evil.media.vobiz.ai/a.mp3",
        "https://media.vobiz.ai@example.in/a.mp3",
    ):
        with pytest.raises(CallControlError) as caught:
            await client.fetch(url, bench.data / "a")
        codes[url] = caught.value.code
    assert list(codes.values()) == ["carrier_unreachable"] * 2 + ["carrier_foreign"] * 5
    assert asked == [("media.vobiz.ai", "t"), ("api.vobiz.ai", "t")]
