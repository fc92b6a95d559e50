"""The collector's full runs are counted, each once, and by nobody who has stopped."""

import gc
from collections.abc import Iterator

import pytest

from sessions.collector_watch import CollectorWatch


@pytest.fixture(autouse=True)
def only_when_asked() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_each_full_run_is_told_once() -> None:
    watch = CollectorWatch()
    watch.start()
    try:
        gc.collect(0)
        gc.collect(1)
        assert watch.seconds() == []
        gc.collect()
        gc.collect()
        first, second = watch.seconds()
        assert first > 0 and second > 0
        assert watch.seconds() == []
    finally:
        watch.stop()


def test_who_has_stopped_is_told_nothing_and_leaves_nothing() -> None:
    before = list(gc.callbacks)
    watch = CollectorWatch()
    watch.start()
    watch.stop()
    watch.stop()
    gc.collect()
    assert watch.seconds() == []
    assert gc.callbacks == before
