"""Journals for tests: written by the real writer, with audio whose every sample is known."""

import struct
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from serializer.codecs import PCM_8K, AudioFormat
from sessions.journal import CallJournal
from sessions.journal_format import JournalHeader
from sessions.journal_writer import JournalWriter

STARTED_AT = 1_793_514_600.25  # 2026-11-01 06:30:00.250 UTC


def header(
    caller: AudioFormat = PCM_8K, agent: AudioFormat = PCM_8K, **changes: object
) -> JournalHeader:
    values: dict[str, object] = {
        "session_id": str(uuid4()),
        "started_at": STARTED_AT,
        "agent_id": "helpline",
        "agent_hash": "0" * 64,
        "caller_format": caller,
        "agent_format": agent,
        "direction": "inbound",
        "dialect": "vobiz",
        **changes,
    }
    return JournalHeader(**values)  # type: ignore[arg-type]


@asynccontextmanager
async def writing(root: Path, **options: float) -> AsyncIterator[JournalWriter]:
    writer = JournalWriter(root, **options)  # type: ignore[arg-type]
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


@asynccontextmanager
async def a_call(root: Path, head: JournalHeader) -> AsyncIterator[CallJournal]:
    """One call's journal, closed at the end."""
    async with writing(root) as writer:
        call = writer.open(head)
        yield call
        status = await call.close()
        assert status.complete, status


def numbered(count: int, first: int = 1) -> bytes:
    """PCM samples that count, so that a lost or repeated one is seen."""
    return struct.pack(f"<{count}h", *((first + i) % 30_000 + 1 for i in range(count)))


def packets(pcm: bytes, size_bytes: int = 320) -> list[bytes]:
    return [pcm[i : i + size_bytes] for i in range(0, len(pcm), size_bytes)]


def read_wav(path: Path) -> tuple[int, npt.NDArray[np.int16]]:
    """Rate and samples, one column per channel, by an independent reader."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return file.getframerate(), samples.reshape(-1, file.getnchannels())
