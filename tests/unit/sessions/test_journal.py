"""The journal is on disk while the call goes on, and never in its way."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from bot.events import (
    CallEnded,
    CallerTranscript,
    CallEvent,
    CarrierNotice,
    Degraded,
    DtmfReceived,
)
from sessions.journal import CallJournal
from sessions.journal_format import (
    AGENT,
    CALLER,
    CUT,
    FRAME,
    MEDIA_NAME,
    decode_events,
    encode_event,
    read_events,
    read_header,
)
from sessions.journal_frames import read_frames
from sessions.journal_writer import JournalWriter
from sessions.spool import JournalBusyError, locked, unfinished
from tests.unit.sessions.journals import a_call, header, writing
from tests.until import until


def payloads(folder: Path) -> list[tuple[int, float, bytes]]:
    media = (folder / MEDIA_NAME).read_bytes()
    return [(kind, at, media[o : o + n]) for kind, at, o, n in read_frames(folder)]


async def test_everything_is_on_disk_in_order(tmp_path: Path) -> None:
    head = header(carrier_call_id="../../etc/passwd", labels={"batch": "7"})
    async with a_call(tmp_path / "deep" / "journal", head) as call:
        call.caller_audio(0.0, b"\x01\x02")
        call.agent_audio(12.5, b"\x03\x04\x05\x06")
        call.event(DtmfReceived(at_ms=14.0, digit="5"))
        call.cut_agent(13.0)
        call.caller_audio(20.0, b"")
    assert call.folder == tmp_path / "deep" / "journal" / head.session_id
    assert read_header(call.folder) == head
    assert payloads(call.folder) == [
        (CALLER, 0.0, b"\x01\x02"),
        (AGENT, 12.5, b"\x03\x04\x05\x06"),
        (CUT, 13.0, b""),
        (CALLER, 20.0, b""),
    ]
    assert read_events(call.folder) == [DtmfReceived(at_ms=14.0, digit="5")]


async def test_it_is_written_while_the_call_goes_on(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        call = writer.open(header())
        call.caller_audio(0.0, bytes(320))
        call.event(DtmfReceived(at_ms=1.0, digit="1"))
        await until(lambda: read_events(call.folder))
        assert [kind for kind, *_ in read_frames(call.folder)] == [CALLER]
        assert writer.stats().open_calls == 1


async def test_a_live_journal_belongs_to_its_call(tmp_path: Path) -> None:
    # The end of a call is not slept through, however seldom journals are written.
    async with writing(tmp_path, flush_ms=60_000) as writer:
        call = writer.open(header())
        await until(call.folder.exists)
        assert unfinished(tmp_path) == []
        with pytest.raises(JournalBusyError), locked(call.folder):
            pass
        await call.close()
        assert unfinished(tmp_path) == [call.folder]


async def test_calls_do_not_mix(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        calls = [writer.open(header(carrier_call_id="same")) for _ in range(20)]
        for step in range(50):
            for number, call in enumerate(calls):
                call.caller_audio(step * 20.0, bytes([number]) * 160)
        for status in await asyncio.gather(*(call.close() for call in calls)):
            assert status.complete
    for number, call in enumerate(calls):
        found = payloads(call.folder)
        assert [at for _, at, _ in found] == [step * 20.0 for step in range(50)]
        assert {data for _, _, data in found} == {bytes([number]) * 160}


async def test_closing_twice_and_speaking_afterwards(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        call = writer.open(header())
        call.caller_audio(0.0, b"ab")
        await call.close()
        call.caller_audio(20.0, b"cd")
        assert (await call.close()).complete
        assert call.file.media == []
        assert payloads(call.folder) == [(CALLER, 0.0, b"ab")]
        assert writer.stats().open_calls == 0


async def test_the_writer_writes_all_when_it_closes(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, flush_ms=60_000)
    writer.start()
    call = writer.open(header())
    await until(call.folder.exists)
    call.caller_audio(0.0, b"late")
    await writer.close()
    assert payloads(call.folder) == [(CALLER, 0.0, b"late")]
    assert unfinished(tmp_path) == [call.folder]
    assert "journal" not in {thread.name for thread in threading.enumerate()}


async def test_without_recording_only_events_are_kept(tmp_path: Path) -> None:
    async with a_call(tmp_path, header(record_audio=False)) as call:
        call.caller_audio(0.0, bytes(320))
        call.event(CallEnded(at_ms=5.0, cause="client_end"))
    assert payloads(call.folder) == []
    assert len(read_events(call.folder)) == 1


@pytest.mark.parametrize("session_id", ["../x", "", "6D1F0F3E-0000-4000-8000-000000000001", "a/b"])
def test_only_our_own_ids_become_folders(tmp_path: Path, session_id: str) -> None:
    writer = JournalWriter(tmp_path)
    with pytest.raises(ValueError):
        writer.open(header(session_id=session_id))
    assert list(tmp_path.iterdir()) == []


async def test_the_same_id_twice_is_refused(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        head = header()
        writer.open(head)
        with pytest.raises(ValueError):
            writer.open(head)


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "journal"
    blocked.write_text("a file where the folder should be")
    async with writing(blocked, limit_bytes=10_000) as writer:
        call = writer.open(header())
        for step in range(1000):
            call.caller_audio(step * 20.0, bytes(160))
        await until(lambda: call.status.error)
        assert call.dropped_packets > 900
        assert writer.stats().failing_calls == 1
        status = await call.close()
    assert not status.on_disk and not status.complete


async def test_a_disk_that_comes_back(tmp_path: Path) -> None:
    blocked = tmp_path / "journal"
    blocked.write_text("")
    async with writing(blocked) as writer:
        call = writer.open(header())
        call.caller_audio(0.0, b"kept")
        await until(lambda: call.status.error)
        blocked.unlink()
        call.caller_audio(20.0, b"too!")
        assert (await call.close()).complete
    assert payloads(call.folder) == [(CALLER, 0.0, b"kept"), (CALLER, 20.0, b"too!")]


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


async def test_losses_are_written_into_the_events(tmp_path: Path) -> None:
    before = counted("journal_dropped_packets_total")
    writer = JournalWriter(tmp_path, limit_bytes=500)  # Not yet started: nothing is taken away.
    call = writer.open(header())
    call.event(DtmfReceived(at_ms=7.0, digit="1"))
    for step in range(10):
        call.caller_audio(step * 20.0, bytes(160))
    assert call.dropped_packets == 7
    assert counted("journal_dropped_packets_total") == before + 7
    writer.start()
    assert not (await call.close()).complete
    assert writer.stats().dropped_packets == 7
    await writer.close()
    degraded = read_events(call.folder)[-1]
    assert isinstance(degraded, Degraded)
    assert (degraded.stage, degraded.at_ms) == ("journal", 7.0)
    assert degraded.detail.startswith("7 packets and 0 events lost")
    assert len(payloads(call.folder)) == 3


async def test_a_cut_is_kept_where_there_is_no_room_for_sound(tmp_path: Path) -> None:
    """Else what the caller never heard would be in the recording."""
    writer = JournalWriter(tmp_path, limit_bytes=500)  # Not yet started: nothing is taken away.
    call = writer.open(header())
    for step in range(10):
        call.agent_audio(step * 20.0, bytes(160))
    call.cut_agent(15.0)
    assert call.dropped_packets == 7
    writer.start()
    await call.close()
    await writer.close()
    assert payloads(call.folder)[-1] == (CUT, 15.0, b"")


async def test_a_short_write_keeps_frames_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
    async with writing(tmp_path, flush_ms=1) as writer:
        call = writer.open(header())
        sent = [bytes([i]) * 40 for i in range(5)]
        for number, data in enumerate(sent):
            call.caller_audio(number * 20.0, data)
        await until(lambda: call.file.written_bytes == 5 * (FRAME.size + 40))
        monkeypatch.undo()
        await call.close()
    assert [data for _, _, data in payloads(call.folder)] == sent


@given(torn=st.integers(0, 3 * (FRAME.size + 10)), junk=st.binary(max_size=40))
def test_torn_and_damaged_files_are_read_as_far_as_they_go(
    tmp_path_factory: pytest.TempPathFactory, torn: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    whole = b"".join(FRAME.pack(CALLER, 10, i * 20.0) + bytes([i]) * 10 for i in range(3))
    (folder / MEDIA_NAME).write_bytes(whole[:torn] + (b"\xff" + junk if junk else b""))
    found = payloads(folder)
    for number, (kind, at_ms, data) in enumerate(found[: torn // (FRAME.size + 10)]):
        assert (kind, at_ms, data) == (CALLER, number * 20.0, bytes([number]) * 10)
    assert len(found) >= torn // (FRAME.size + 10)
    assert {kind for kind, _, _ in found} <= {CALLER}


def every_event() -> list[CallEvent]:
    return [
        CallerTranscript(
            at_ms=2.0,
            text='नमस्ते "जी"\n',
            final=True,
            started_ms=1.0,
            language="hi",
            confidence=None,
            provider="offline",
        ),
        DtmfReceived(at_ms=3.5, digit="#"),
        CallEnded(at_ms=4.0, cause="caller_hangup"),
    ]


def test_events_survive_their_lines() -> None:
    lines = [encode_event(event) for event in every_event()]
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    assert list(decode_events(lines)) == every_event()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"type":"CallEnded"}',
        b'{"type":"Unknown","at_ms":1}',
        b'{"at_ms":1}',
        b'{"type":5,"at_ms":1}',
        b'{"type":"DtmfReceived","at_ms":"x","digit":"1"}',
        b"\xff\xfe",
        encode_event(DtmfReceived(at_ms=3.5, digit="#"))[:-5],
    ],
)
def test_damaged_lines_are_left_out(line: bytes) -> None:
    lines = [line + b"\n", *map(encode_event, every_event())]
    assert list(decode_events(lines)) == every_event()


def test_reading_a_journal_without_files(tmp_path: Path) -> None:
    assert list(read_frames(tmp_path)) == []
    assert read_events(tmp_path) == []


async def test_too_many_events_are_counted(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)  # Never started: nothing is taken away.
    call: CallJournal = writer.open(header())
    before = counted("journal_dropped_events_total")
    for number in range(10_005):
        call.event(DtmfReceived(at_ms=float(number), digit="1"))
    assert call.dropped_events == 5
    assert counted("journal_dropped_events_total") == before + 5


async def test_half_a_character_stays_with_its_line(tmp_path: Path) -> None:
    """A lone surrogate, as ``json.loads`` lets through, ends neither this nor another journal."""
    broken, other = header(labels={"team": "a\udcff"}), header()
    async with writing(tmp_path) as writer:
        calls = [writer.open(broken), writer.open(other)]
        for call in calls:
            call.event(CarrierNotice(at_ms=1.0, name="said", detail="half \ud83d of it"))
            call.event(CallEnded(at_ms=2.0, cause="caller_hangup"))
        async with asyncio.timeout(30):
            statuses = [await call.close() for call in calls]
    assert all(status.complete for status in statuses)
    notice, ended = read_events(tmp_path / broken.session_id)
    assert isinstance(notice, CarrierNotice) and notice.detail == "half ? of it"
    assert isinstance(ended, CallEnded)
    assert read_header(tmp_path / broken.session_id).labels == {"team": "a?"}


async def test_a_mistake_with_one_journal_stays_with_it(tmp_path: Path) -> None:
    """Whatever cannot be written of one call, the others' journals are."""

    class Unwritable:
        at_ms = 1.0

    async with writing(tmp_path) as writer:
        bad, good = writer.open(header()), writer.open(header())
        bad.event(Unwritable())  # type: ignore[arg-type]
        bad_status = await bad.close(5.0)
        good.event(CallEnded(at_ms=2.0, cause="caller_hangup"))
        assert (await good.close(5.0)).complete
    assert bad_status.dropped_events == 1 and not bad_status.complete
    assert len(read_events(good.folder)) == 1
