"""Journals that are encrypted on disk: nothing shows, nothing is lost, no key is guessed."""

import asyncio
import base64
import contextlib
import gc
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.events import CallEnded, CallerTranscript, CallEvent
from config.errors import ConfigError, StorageError
from sessions import journal_seal
from sessions.journal import CallJournal
from sessions.journal_format import (
    EVENTS_NAME,
    MEDIA_NAME,
    FileDamage,
    RecordingFormat,
    open_media,
    read_events,
    read_header,
)
from sessions.journal_frames import read_frames
from sessions.journal_seal import SEAL_NAME, JournalKey, JournalKeyError, use_journal_keys
from sessions.journal_writer import JournalWriter
from sessions.keeper import KeeperOptions, RecordKeeper
from sessions.recording import make_recording
from sessions.spool import unfinished
from sessions.waiting import Backoff
from storage.base import ObjectInfo, StorageKind
from storage.filesystem import FilesystemStorage
from tests.unit.sessions.journals import header, numbered, packets, read_wav

NUMBER = "+919812345678"
SAID = "my account is seven four two"


def a_secret() -> SecretStr:
    return SecretStr(base64.b64encode(os.urandom(32)).decode())


def key() -> JournalKey:
    return use_journal_keys(a_secret())


def speak(call: CallJournal, seconds: int = 1) -> None:
    for step, packet in enumerate(packets(numbered(8000 * seconds))):
        call.caller_audio(step * 20.0, packet)
    call.event(
        CallerTranscript(
            at_ms=900.0,
            text=SAID,
            final=True,
            started_ms=100.0,
            language="en-IN",
            confidence=None,
            provider="offline",
        )
    )
    call.event(CallEnded(at_ms=1000.0, cause="caller_hangup"))


async def sealed(
    root: Path,
    key: JournalKey,
    flush_ms: float = 1.0,
    seconds: int = 1,
    form: RecordingFormat = "wav",
) -> Path:
    writer = JournalWriter(root, key=key, flush_ms=flush_ms)
    writer.start()
    call = writer.open(header(from_number=NUMBER, recording_format=form))
    speak(call, seconds)
    assert (await call.close()).complete
    await writer.close()
    return call.folder


def heard(folder: Path) -> bytes:
    with open_media(folder) as media:
        return b"".join(media.read(n, at) for _, _, at, n in read_frames(folder))


def events(folder: Path) -> list[type[CallEvent]]:
    return [type(event) for event in read_events(folder)]


async def test_nothing_shows_and_everything_can_be_read(tmp_path: Path) -> None:
    folder = await sealed(tmp_path, key())
    on_disk = b"".join(path.read_bytes() for path in folder.iterdir())
    for secret in (NUMBER.encode(), SAID.encode(), b"helpline", numbered(160)[:64]):
        assert secret not in on_disk
    assert read_header(folder).from_number == NUMBER
    assert heard(folder) == numbered(8000)
    assert events(folder) == [CallerTranscript, CallEnded]


async def test_the_recording_is_the_same(tmp_path: Path) -> None:
    folder = await sealed(tmp_path / "sealed", key(), seconds=10)
    recording = make_recording(folder, read_header(folder), tmp_path / "it.wav")
    assert recording is not None and recording.caller_ms == 10_000
    _, samples = read_wav(tmp_path / "it.wav")
    assert samples[:, 0].astype("<i2").tobytes() == numbered(80_000)


async def test_no_two_calls_share_a_key_stream(tmp_path: Path) -> None:
    one = key()
    first, second = await sealed(tmp_path, one, 60_000), await sealed(tmp_path, one, 60_000)
    assert heard(first) == heard(second)
    assert (first / MEDIA_NAME).read_bytes() != (second / MEDIA_NAME).read_bytes()
    assert (first / SEAL_NAME).read_bytes() != (second / SEAL_NAME).read_bytes()


async def chunked(root: Path) -> Path:
    """A journal of several chunks."""
    writer = JournalWriter(root, key=key(), flush_ms=60_000)
    call = writer.open(header())
    for step, packet in enumerate(packets(numbered(1600))):
        call.caller_audio(step * 20.0, packet)
        call.file.flush()
    call.file.close()
    return call.folder


@settings(max_examples=40, deadline=None)
@given(torn=st.integers(0, 3600))
async def test_a_torn_end_costs_only_the_last_flush(
    tmp_path_factory: pytest.TempPathFactory, torn: int
) -> None:
    folder = await chunked(tmp_path_factory.mktemp("torn"))
    media = folder / MEDIA_NAME
    whole = media.read_bytes()
    media.write_bytes(whole[: max(0, len(whole) - torn)])
    kept = heard(folder)
    assert numbered(1600).startswith(kept)
    # A chunk holds one packet of 320 bytes, with 33 around it.
    assert len(kept) >= 3200 - 320 * (torn // 353 + 1)


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 3529), bit=st.integers(0, 7))
async def test_what_was_changed_is_not_believed(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    folder = await chunked(tmp_path_factory.mktemp("changed"))
    media = folder / MEDIA_NAME
    data = bytearray(media.read_bytes())
    data[at] ^= 1 << bit
    media.write_bytes(data)
    chunk, damage = at // 353, FileDamage()
    list(read_frames(folder, damage))
    kept, whole = heard(folder), numbered(1600)
    if at % 353 >= 4:
        # One chunk is not believed, and said to be lost; those that follow are in their places.
        assert kept == whole[: 320 * chunk] + whole[320 * (chunk + 1) :]
        assert damage == FileDamage(lost_bytes=353)
    else:
        assert kept == whole[: 320 * chunk]
        assert damage.lost_bytes + damage.torn_bytes == 3530 - 353 * chunk


async def test_chunks_cannot_be_swapped_between_files_or_places(tmp_path: Path) -> None:
    folder = await chunked(tmp_path)
    media = (folder / MEDIA_NAME).read_bytes()
    (folder / MEDIA_NAME).write_bytes(media[353:706] + media[:353])
    assert heard(folder) == b""
    (folder / EVENTS_NAME).write_bytes(media[:353])
    assert read_events(folder) == []


async def test_a_key_that_is_not_known_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = a_secret()
    root = tmp_path / "journal"
    folder = await sealed(root, use_journal_keys(secret))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(journal_seal, "_known_keys", {})
    use_journal_keys(a_secret())
    with pytest.raises(JournalKeyError, match="JOURNAL_KEY"):
        read_header(folder)
    storage = FilesystemStorage(tmp_path / "store")
    keeper = RecordKeeper(storage, root, options=KeeperOptions(backoff=Backoff(first_seconds=60)))
    try:
        with pytest.raises(StorageError) as error:
            await keeper.finish(folder)
        assert error.value.code == "journal_key_unknown"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert keeper.stats().waiting == 1
        # An operator adds the old key behind the new one.
        new = a_secret().get_secret_value()
        use_journal_keys(SecretStr(f"{new},{secret.get_secret_value()}"))
        stored = await keeper.finish(folder)
        assert stored.record.from_number == NUMBER
        assert stored.record.recording.state == "stored"
        assert unfinished(root) == []
    finally:
        await keeper.close()


class Spying(FilesystemStorage):
    """A store that looks at the journal while it is sent to, and does not take it."""

    def __init__(self, root: Path, journal: Path, fails: bool = True) -> None:
        super().__init__(root)
        self._journal = journal
        self.fails = fails
        self.seen = b""
        self.sent = b""
        self.paths: list[Path] = []

    async def put_file(self, kind: StorageKind, key: str, path: Path, *rest: object) -> ObjectInfo:
        self.seen += on_disk(self._journal)
        self.sent += await asyncio.to_thread(path.read_bytes)
        self.paths.append(path)
        if self.fails:
            raise StorageError("storage_unavailable", "switched off")
        return await super().put_file(kind, key, path, *rest)  # type: ignore[arg-type]


def on_disk(folder: Path) -> bytes:
    """Everything that can be found below a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def nameless() -> list[str]:
    """Files that this process has open and that have no name."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(entry.readlink()))
    return [name for name in found if name.endswith("(deleted)") and "journal" in name]


async def refused(keeper: RecordKeeper, folder: Path) -> bool:
    """Whether a call is not stored; pytest would keep all that its failure holds."""
    try:
        await keeper.finish(folder)
    except StorageError:
        return True
    return False


@pytest.mark.parametrize("form", ["wav", "flac"])
async def test_nothing_lies_in_the_clear_while_it_is_sent_nor_after(
    tmp_path: Path, form: RecordingFormat
) -> None:
    root = tmp_path / "journal"
    folder = await sealed(root, key(), form=form)
    storage = Spying(tmp_path / "store", root)
    keeper = RecordKeeper(storage, root, options=KeeperOptions(backoff=Backoff(first_seconds=60)))
    try:
        assert await refused(keeper, folder)
        assert storage.sent.startswith(b"RIFF" if form == "wav" else b"fLaC")
        for secret in (b"RIFF", b"fLaC", SAID.encode(), NUMBER.encode()):
            assert secret not in storage.seen and secret not in on_disk(root)
        assert not (folder / "built").exists()
        # A thread that comes late finds the file as it was, and nobody else's in its place.
        late = storage.paths.pop()
        with tempfile.TemporaryFile() as other:
            other.write(b"another call")
            assert late.read_bytes() == storage.sent
        del late
        async with asyncio.timeout(30):
            while nameless():  # noqa: ASYNC110 - the keeper's thread lets go of them
                gc.collect()  # What a thread's failure holds in a circle goes now, not later.
                await asyncio.sleep(0.01)
        storage.fails = False
        record = (await keeper.finish(folder)).record
        assert record.recording.state == "stored" and record.recording.file is not None
        assert SAID.encode() in storage.sent and SAID.encode() not in storage.seen
    finally:
        await keeper.close()
        await storage.close()


async def test_what_an_older_server_left_in_the_clear_goes_at_the_start(tmp_path: Path) -> None:
    folder = await sealed(tmp_path, key())
    aside = await sealed(tmp_path, key())
    aside = aside.rename(tmp_path / f".broken-{aside.name}")
    for journal in (folder, aside):
        (journal / "built").mkdir()
        (journal / "built" / "recording").write_bytes(b"RIFF")
    assert unfinished(tmp_path) == [folder]
    assert b"RIFF" not in on_disk(tmp_path)
    assert (aside / MEDIA_NAME).exists()


async def test_journals_from_before_the_key_are_read(tmp_path: Path) -> None:
    key()
    writer = JournalWriter(tmp_path)
    writer.start()
    call = writer.open(header())
    speak(call)
    await call.close()
    await writer.close()
    assert heard(call.folder) == numbered(8000)


@pytest.mark.parametrize("text", ["", "short", "é" * 44, base64.b64encode(bytes(31)).decode()])
def test_a_key_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand -base64 32") as error:
        use_journal_keys(SecretStr(text))
    assert not text or text not in error.value.message
