"""How full the disk is, and what is said of it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from sessions import disk
from sessions.disk import DiskWatch, used_percent
from tests.until import until


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(
        lambda message: lines.append(str(message)), level="INFO", format="{level} {message}"
    )
    yield lines
    logger.remove(sink)


async def test_filling_full_and_roomy_again(tmp_path: Path, log: list[str]) -> None:
    used = iter((10.0, 79.9, 80.0, 94.0, 95.0, 100.0, 94.0, 20.0))
    watch = DiskWatch(tmp_path, warn_percent=80, full_percent=95, usage=lambda _: next(used))
    seen = []
    for _ in range(8):
        await watch.look()
        seen.append(watch.state)
    assert seen == ["roomy"] * 2 + ["filling"] * 2 + ["full"] * 2 + ["filling", "roomy"]
    assert [line.split()[0] for line in log] == ["WARNING", "ERROR", "WARNING", "INFO"]


async def test_a_disk_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    def broken(_: Path) -> float:
        raise OSError("away")

    watch = DiskWatch(tmp_path, warn_percent=80, full_percent=95, usage=lambda _: 96.0)
    await watch.look()
    watch._usage = broken
    await watch.look()
    assert watch.state == "full"


def test_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    assert (
        0 <= used_percent(tmp_path / "not" / "yet") == pytest.approx(used_percent(tmp_path), abs=1)
    )


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_cannot_be_written_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """As where the system has made a disk read-only: nothing of a call would be kept."""
    asked: list[Path] = []

    def refuses(path: Path, mode: int) -> bool:
        asked.append(path)
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", refuses)
    assert used_percent(tmp_path if there else tmp_path / "not" / "yet") == 100.0
    assert asked == [tmp_path]


async def test_it_looks_at_the_start_and_stops(tmp_path: Path) -> None:
    watch = DiskWatch(tmp_path, warn_percent=80, full_percent=95, usage=lambda _: 85.0)
    await watch.start()
    assert watch.state == "filling"
    await watch.stop()


async def test_a_disk_that_hangs_holds_one_thread_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, asked = threading.Event(), []

    def hang(_: Path) -> float:
        asked.append(1)
        released.wait(30)
        return 96.0

    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.01)
    watch = DiskWatch(tmp_path, warn_percent=80, full_percent=95, usage=hang)
    try:
        for _ in range(5):
            await watch.look()
        await until(lambda: asked)
        assert len(asked) == 1
        assert watch.state == "roomy"
    finally:
        released.set()
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 30.0)
    await watch.look()
    assert (watch.state, len(asked)) == ("full", 1)
