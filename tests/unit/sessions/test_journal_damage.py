"""What a bad disk has done to a journal costs no more than it has touched, and is told."""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.events import CallEnded, DtmfReceived
from sessions.build import BuiltCall, build_call
from sessions.journal_format import (
    AGENT,
    CALLER,
    EVENTS_NAME,
    FRAME,
    MEDIA_NAME,
    FileDamage,
    encode_event,
)
from sessions.journal_frames import read_frames
from sessions.journal_state import STATE_NAME, JournalState, read_state
from tests.unit.sessions.journals import (
    a_call,
    header,
    numbered,
    packets,
    read_wav,
    writing,
)
from tests.until import until

SECONDS = 10
PACKET_BYTES = FRAME.size + 320


async def ten_seconds(root: Path, *, ended: bool = True) -> Path:
    """A call whose both legs spoke in turn."""
    async with a_call(root, header()) as call:
        for i, data in enumerate(packets(numbered(SECONDS * 8000))):
            call.caller_audio(20.0 * i, data)
            call.agent_audio(20.0 * i + 40.0, data)
        call.event(DtmfReceived(at_ms=9000.0, digit="1"))
        if ended:
            call.event(CallEnded(at_ms=1000.0 * SECONDS, cause="caller_hangup"))
    return call.folder


def kinds(built: BuiltCall) -> list[tuple[str, str]]:
    return [(each.stage, each.kind) for each in built.record.degraded]


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


async def test_an_unharmed_call_is_complete(tmp_path: Path) -> None:
    built = build_call(await ten_seconds(tmp_path))
    assert built.record.recording.complete and kinds(built) == []
    assert built.record.recording.caller_ms == 1000 * SECONDS


@pytest.mark.parametrize("junk", [bytes(4096), b"\xff" * 4096, os.urandom(4096)])
@pytest.mark.parametrize("at", [0, 77_000, 77_013])
async def test_a_bad_block_costs_what_it_held(tmp_path: Path, at: int, junk: bytes) -> None:
    folder = await ten_seconds(tmp_path)
    overwrite(folder / MEDIA_NAME, at, junk)
    built = build_call(folder)
    sound = built.record.recording
    assert sound.state == "stored" and not sound.complete
    assert kinds(built) == [("journal", "recording_damaged")]
    # A block of 4 KiB holds 12 packets and parts of two; each leg has half of them.
    assert sound.caller_ms >= 1000 * SECONDS - 8 * 20
    assert sound.agent_ms >= 1000 * SECONDS - 8 * 20
    _, samples = read_wav(folder / "built" / "recording")
    # What comes after it lies where it belongs.
    assert samples[-320 - 8000 : -320, 0].tobytes() == numbered(80_000)[-16_000:]


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 40 * PACKET_BYTES - 1), bit=st.integers(0, 7), quiet=st.booleans())
@example(at=3, bit=4, quiet=True)
@example(at=4, bit=7, quiet=False)
@example(at=39 * PACKET_BYTES + 3, bit=4, quiet=False)
def test_one_bit_costs_two_packets_at_most(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int, quiet: bool
) -> None:
    folder = tmp_path_factory.mktemp("bit")
    sound = [bytes(320) if quiet else numbered(160, 160 * i) for i in range(40)]
    frames = [FRAME.pack(CALLER, 320, 20.0 * i) + data for i, data in enumerate(sound)]
    media = bytearray(b"".join(frames))
    media[at] ^= 1 << bit
    (folder / MEDIA_NAME).write_bytes(media)
    damage = FileDamage()
    found = list(read_frames(folder, damage))
    whole = {start for kind, _, start, length in found if (kind, length) == (CALLER, 320)}
    places = {i * PACKET_BYTES + FRAME.size for i in range(40)}
    assert len(places - whole) <= 2
    # A length or a kind that is none is noticed; a sample, or another leg, cannot be. The last
    # frame, where it seems to be longer than the file, looks like one that was torn off.
    if at % PACKET_BYTES in (1, 2, 3, 4):
        is_last = at >= 39 * PACKET_BYTES
        assert damage.lost_bytes or (is_last and damage.torn_bytes)


async def test_a_cut_off_end_is_told_where_the_call_has_ended(tmp_path: Path) -> None:
    folder = await ten_seconds(tmp_path)
    size = (folder / MEDIA_NAME).stat().st_size
    # Between two frames: nothing is torn.
    os.truncate(folder / MEDIA_NAME, size - 100 * PACKET_BYTES)
    built = build_call(folder)
    assert not built.record.recording.complete
    assert kinds(built) == [("journal", "recording_damaged")]
    assert f"{100 * PACKET_BYTES} bytes" in built.record.degraded[0].detail


async def test_no_media_at_all_is_told(tmp_path: Path) -> None:
    folder = await ten_seconds(tmp_path)
    (folder / MEDIA_NAME).unlink()
    built = build_call(folder)
    assert built.record.recording.state == "empty" and not built.record.recording.complete
    assert kinds(built) == [("journal", "recording_damaged")]


async def test_what_a_kill_tears_off_is_no_damage(tmp_path: Path) -> None:
    folder = await ten_seconds(tmp_path, ended=False)
    (folder / STATE_NAME).unlink()  # A killed server does not close; nor do older ones.
    os.truncate(folder / MEDIA_NAME, (folder / MEDIA_NAME).stat().st_size - 100)
    built = build_call(folder)
    assert built.record.end_cause == "crash"
    assert built.record.recording.complete and kinds(built) == []


async def test_a_torn_end_of_a_call_that_has_ended_is_damage(tmp_path: Path) -> None:
    folder = await ten_seconds(tmp_path)
    (folder / STATE_NAME).unlink()
    os.truncate(folder / MEDIA_NAME, (folder / MEDIA_NAME).stat().st_size - 100)
    assert kinds(build_call(folder)) == [("journal", "recording_damaged")]


@pytest.mark.parametrize(("torn", "is_damage"), [(60_000, False), (80_000, True)])
async def test_more_than_a_kill_can_tear_off_is_damage(
    tmp_path: Path, torn: int, is_damage: bool
) -> None:
    folder = await ten_seconds(tmp_path, ended=False)
    (folder / STATE_NAME).unlink()
    with (folder / MEDIA_NAME).open("ab") as media:
        media.write(FRAME.pack(CALLER, 100_000, 1000.0 * SECONDS) + bytes(torn))
    told = [("journal", "recording_damaged")] if is_damage else []
    assert kinds(build_call(folder)) == told


def test_what_follows_damage_is_no_frame_if_its_times_run_back(tmp_path: Path) -> None:
    def frames(times: Iterable[float]) -> bytes:
        return b"".join(FRAME.pack(CALLER, 320, at_ms) + bytes(320) for at_ms in times)

    before, after = frames(20.0 * i for i in range(10)), frames(200.0 + 20 * i for i in range(10))
    alike = frames(1e6 - 2e5 * i for i in range(5))
    (tmp_path / MEDIA_NAME).write_bytes(before + b"\xff" * 16 + alike + after)
    damage = FileDamage()
    times = [at_ms for _, at_ms, _, _ in read_frames(tmp_path, damage)]
    assert times == [20.0 * i for i in range(20)]
    assert damage.lost_bytes == 16 + len(alike)


@pytest.mark.parametrize(("line", "lost"), [(b'{"type":"Degr\n', True), (b"", False)])
async def test_lost_events_are_told(tmp_path: Path, line: bytes, lost: bool) -> None:
    folder = await ten_seconds(tmp_path)
    unknown = b'{"type":"OfAnotherVersion","at_ms":1}\n'
    path = folder / EVENTS_NAME
    path.write_bytes(line + unknown + path.read_bytes())
    built = build_call(folder)
    assert kinds(built) == ([("journal", "events_damaged")] if lost else [])
    # The sound is all there.
    assert built.record.recording.complete and built.record.end_cause == "caller_hangup"


@contextlib.contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files cannot grow; what they hold already can be changed."""

    def refuse(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        yield


async def test_a_kill_while_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is on disk is whole: only the journal's state knows what was not."""
    killed = tmp_path / "killed"
    async with writing(tmp_path / "journal", flush_ms=5) as writer:
        call = writer.open(header())
        call.caller_audio(0.0, bytes(320))
        await until(lambda: call.file.written_bytes)
        with full_disk(monkeypatch):
            for i in range(1, 300):
                call.caller_audio(20.0 * i, bytes(320))
            await until(lambda: read_state(call.folder).failing)
            # As the disk is at the moment of the kill.
            killed.mkdir()
            for path in call.folder.iterdir():
                (killed / path.name).write_bytes(path.read_bytes())
        await until(lambda: call.file.error is None, seconds=30)
        await call.close()
    built = build_call(killed)
    assert built.record.end_cause == "crash" and not built.record.recording.complete
    assert kinds(built) == [("journal", "recording_incomplete")]
    # The disk came back for this one, and nothing is missing.
    assert read_state(call.folder) == JournalState(False, 300 * PACKET_BYTES)
    assert build_call(call.folder).record.recording.complete


async def test_a_kill_after_sound_was_dropped(tmp_path: Path) -> None:
    async with writing(tmp_path, limit_bytes=500, flush_ms=5) as writer:
        call = writer.open(header())
        await until(call.folder.exists)
        for i in range(10):
            call.caller_audio(20.0 * i, bytes(320))
        assert call.dropped_packets
        await until(lambda: read_state(call.folder).failing)
        (call.folder / EVENTS_NAME).write_bytes(b"")
        built = build_call(call.folder)
        assert kinds(built) == [("journal", "recording_incomplete")]
        assert not built.record.recording.complete


async def test_losses_are_told_once(tmp_path: Path) -> None:
    """The call itself has written what was lost: it is not said again."""
    async with writing(tmp_path, limit_bytes=500, flush_ms=5) as writer:
        call = writer.open(header())
        for i in range(10):
            call.caller_audio(20.0 * i, bytes(320))
        call.event(CallEnded(at_ms=200.0, cause="caller_hangup"))
        await call.close()
    assert read_state(call.folder).failing
    assert kinds(build_call(call.folder)) == [("journal", "recording_incomplete")]


def test_a_journal_of_an_older_server(tmp_path: Path) -> None:
    """It has no state, and its file ends with a frame."""
    head = header()
    (tmp_path / "header.json").write_bytes(msgspec.json.encode(head))
    (tmp_path / MEDIA_NAME).write_bytes(FRAME.pack(AGENT, 320, 0.0) + bytes(320))
    end = CallEnded(at_ms=20.0, cause="caller_hangup")
    (tmp_path / EVENTS_NAME).write_bytes(encode_event(end))
    built = build_call(tmp_path)
    assert built.record.recording.complete and kinds(built) == []
