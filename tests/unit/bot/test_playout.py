"""What the caller hears, and when, on a virtual clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.playout import MAX_QUEUED_SECONDS, Playout
from tests.unit.bot.fakes import BYTES_PER_MS, FakeLine, audio
from tests.virtual_time import running_loop, virtual_time

FRAME_BYTES = 20 * BYTES_PER_MS


def make(line: FakeLine, lead_ms: int = 300) -> Playout:
    """A playout of mu-law at 8 kHz."""
    return Playout(line, bytes_per_ms=BYTES_PER_MS, silence=b"\xff", lead_ms=lead_ms)


@asynccontextmanager
async def running(playout: Playout) -> AsyncIterator[asyncio.Task[None]]:
    """Run it for the length of a block."""
    task = asyncio.create_task(playout.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def now() -> float:
    """Virtual seconds."""
    return running_loop().time()


class Marks:
    """Marks that note when they were called."""

    def __init__(self) -> None:
        self.began = now()
        self.called: list[tuple[str, int]] = []

    def add(
        self, playout: Playout, name: str, position_ms: float | None = None, *, keep: bool = False
    ) -> None:
        """Set one."""

        async def called() -> None:
            self.called.append((name, round((now() - self.began) * 1000)))

        playout.mark(called, position_ms, keep=keep)


@virtual_time
async def test_packets_are_whole_frames_and_everything_is_sent_in_order() -> None:
    line = FakeLine()
    playout = make(line)
    content = bytes(range(256)) * 40
    async with running(playout):
        for start in range(0, len(content), 37):
            playout.audio(content[start : start + 37])
        playout.flush()
        assert await playout.drained(60)
    assert all(len(payload) % FRAME_BYTES == 0 for _, _, payload in line.packets)
    joined = b"".join(payload for _, _, payload in line.packets)
    assert joined[: len(content)] == content
    assert set(joined[len(content) :]) <= {0xFF}
    assert len(joined) - len(content) < FRAME_BYTES


@virtual_time
@pytest.mark.parametrize("lead_ms", [0, 60, 120, 300])
async def test_never_further_ahead_than_the_lead_and_a_packet(lead_ms: int) -> None:
    line = FakeLine()
    playout = make(line, lead_ms)
    async with running(playout):
        playout.audio(audio(5000))
        assert await playout.drained(60)
    assert line.sent_ms == 5000
    for sent_at, due_at, payload in line.packets:
        ahead_ms = (due_at - sent_at) * 1000 + len(payload) / BYTES_PER_MS
        assert ahead_ms <= max(lead_ms, 60) + 60 + 0.01
    assert line.gaps() == []


@virtual_time
async def test_it_wakes_about_once_a_packet() -> None:
    line = FakeLine()
    playout = make(line)
    wakes = 0
    original = playout._send_due

    async def counted() -> None:
        nonlocal wakes
        wakes += 1
        await original()

    playout._send_due = counted  # type: ignore[method-assign]
    async with running(playout):
        playout.audio(audio(6000))
        assert await playout.drained(60)
        at_the_end = wakes
        await asyncio.sleep(60)
    assert at_the_end <= 6000 / 60 + 5
    assert wakes == at_the_end


@virtual_time
async def test_a_loop_that_is_late_by_less_than_the_lead_is_not_heard() -> None:
    line = FakeLine()
    playout = make(line, 300)
    async with running(playout):
        playout.audio(audio(4000))
        for _ in range(6):
            await asyncio.sleep(0.5)
            running_loop().stall(0.25)
        assert await playout.drained(60)
    assert line.gaps() == []


@virtual_time
async def test_a_loop_that_is_late_by_more_than_the_lead_is_heard() -> None:
    line = FakeLine()
    playout = make(line, 120)
    async with running(playout):
        playout.audio(audio(2000))
        await asyncio.sleep(0.5)
        running_loop().stall(0.4)
        assert await playout.drained(60)
    (gap,) = line.gaps()
    assert 0.2 < gap < 0.3


@virtual_time
async def test_it_tells_how_late_packets_leave() -> None:
    late: list[float] = []
    line = FakeLine()
    playout = Playout(
        line, bytes_per_ms=8, silence=b"\xff", lead_ms=120, on_sent=lambda _, s: late.append(s)
    )
    async with running(playout):
        playout.audio(audio(3000))
        await asyncio.sleep(0.5)
        in_time = list(late)
        running_loop().stall(0.2)
        assert await playout.drained(60)
        await asyncio.sleep(1.0)
        # What could not be sent before it was there is not late.
        playout.audio(audio(60))
        assert await playout.drained(60)
    assert in_time and max(in_time) < 0.002
    assert 0.13 < max(late) <= 0.2
    # What was late is caught up with: the loop was late once.
    assert len([seconds for seconds in late if seconds > 0.002]) <= 4


@virtual_time
async def test_marks_run_in_order_when_their_place_was_heard() -> None:
    playout = make(FakeLine())
    marks = Marks()
    async with running(playout):
        playout.audio(audio(1000))
        marks.add(playout, "end")
        marks.add(playout, "after the end")
        marks.add(playout, "half", 500)
        marks.add(playout, "start", 0)
        playout.audio(audio(400))
        marks.add(playout, "last")
        assert await playout.drained(60)
    names = [name for name, _ in marks.called]
    assert names == ["start", "half", "end", "after the end", "last"]
    times = [at_ms for _, at_ms in marks.called]
    assert times == pytest.approx([0, 500, 1000, 1000, 1400], abs=2)


@virtual_time
async def test_a_mark_on_a_silent_line_runs_at_once() -> None:
    playout = make(FakeLine())
    marks = Marks()
    async with running(playout):
        await asyncio.sleep(1)
        marks.add(playout, "now")
        marks.add(playout, "beyond everything", 1e9)
        assert await playout.drained(1)
    assert [name for name, _ in marks.called] == ["now", "beyond everything"]
    assert marks.called[-1][1] == 1000


@virtual_time
async def test_a_mark_without_place_stands_behind_all_marks_before_it() -> None:
    playout = make(FakeLine())
    marks = Marks()
    async with running(playout):
        playout.audio(audio(1000))
        marks.add(playout, "a word that ends late", 1100)
        marks.add(playout, "end of answer")
        playout.audio(audio(1000))
        assert await playout.drained(60)
    assert [name for name, _ in marks.called] == ["a word that ends late", "end of answer"]


@virtual_time
async def test_a_mark_that_fails_does_not_silence_the_call() -> None:
    line = FakeLine()
    playout = make(line)

    async def broken() -> None:
        raise ValueError("a bug")

    async with running(playout):
        playout.audio(audio(200))
        playout.mark(broken)
        playout.audio(audio(200))
        assert await playout.drained(10)
    assert line.sent_ms == 400


@virtual_time
async def test_clear_tells_what_had_been_heard_and_drops_the_rest() -> None:
    line = FakeLine()
    playout = make(line)
    marks = Marks()
    async with running(playout):
        playout.audio(audio(2000))
        marks.add(playout, "early", 300)
        marks.add(playout, "late", 900)
        marks.add(playout, "kept", keep=True)
        await asyncio.sleep(0.7)
        assert await playout.clear() == pytest.approx(700, abs=1)
        assert playout.heard_ms() == pytest.approx(700, abs=1)
        assert not playout.playing
        await asyncio.sleep(5)
    assert line.sent_ms < 2000
    assert line.cleared_at == [pytest.approx(marks.began + 0.7)]
    assert marks.called == [("early", 300), ("kept", 700)]


@virtual_time
async def test_positions_go_on_from_what_was_heard() -> None:
    playout = make(FakeLine())
    marks = Marks()
    async with running(playout):
        playout.audio(audio(2000))
        await asyncio.sleep(0.5)
        await playout.clear()
        playout.audio(audio(400))
        assert playout.queued_ms == pytest.approx(900, abs=1)
        marks.add(playout, "end")
        assert await playout.drained(10)
        assert playout.heard_ms() == pytest.approx(900, abs=1)
    ((_, at_ms),) = marks.called
    assert at_ms == pytest.approx(900, abs=2)


@virtual_time
async def test_clearing_a_silent_line_sends_nothing() -> None:
    line = FakeLine(acks=True)
    playout = make(line)
    async with running(playout):
        assert await playout.clear() == 0
        playout.audio(audio(100))
        assert await playout.drained(10)
        assert await playout.clear() == 100
    assert line.cleared_at == []


@virtual_time
async def test_new_audio_waits_until_the_line_has_cleared() -> None:
    line = FakeLine(acks=True)
    playout = make(line)
    async with running(playout):
        playout.audio(audio(2000))
        await asyncio.sleep(0.2)
        await playout.clear()
        before = len(line.packets)
        playout.audio(audio(200))
        await asyncio.sleep(0.3)
        assert len(line.packets) == before
        playout.cleared()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(line.packets) > before
        assert await playout.drained(10)


@virtual_time
async def test_a_line_that_never_confirms_holds_new_audio_for_a_second() -> None:
    line = FakeLine(acks=True)
    playout = make(line)
    async with running(playout):
        playout.audio(audio(2000))
        await asyncio.sleep(0.2)
        await playout.clear()
        cleared_at, before = now(), len(line.packets)
        playout.audio(audio(200))
        await asyncio.sleep(5)
    assert line.packets[before][0] == pytest.approx(cleared_at + 1.0, abs=0.01)


@virtual_time
async def test_nothing_new_overtakes_the_clear_message() -> None:
    class SlowLine(FakeLine):
        async def clear(self, heard_until: float) -> bool:
            playout.audio(audio(200))
            await asyncio.sleep(0.1)
            order.append("clear")
            return await super().clear(heard_until)

        async def send_audio(self, payload: bytes, due_at: float) -> None:
            order.append("audio")
            await super().send_audio(payload, due_at)

    order: list[str] = []
    playout = make(SlowLine())
    async with running(playout):
        playout.audio(audio(1000))
        await asyncio.sleep(0.1)
        order.clear()
        await playout.clear()
        await asyncio.sleep(1)
    assert order[0] == "clear"
    assert "audio" in order


@virtual_time
async def test_pause_holds_what_was_not_sent() -> None:
    line = FakeLine()
    playout = make(line)
    marks = Marks()
    async with running(playout):
        playout.audio(audio(1000))
        marks.add(playout, "at what is on the line", 360)
        marks.add(playout, "end")
        await asyncio.sleep(0.01)
        playout.pause(True)
        await asyncio.sleep(10)
        assert line.sent_ms == 360 and [name for name, _ in marks.called] == [
            "at what is on the line"
        ]
        assert marks.called[0][1] == pytest.approx(360, abs=2)
        playout.pause(False)
        assert await playout.drained(10)
    assert line.sent_ms == 1000
    assert marks.called[-1][1] == pytest.approx(10_010 + 640, abs=3)


@virtual_time
async def test_drained_without_acknowledgement() -> None:
    line = FakeLine()
    playout = make(line)
    async with running(playout):
        began = now()
        playout.audio(audio(1000))
        playout.mark(playout.checkpoint)
        assert not await playout.drained(0.5)
        assert await playout.drained(10)
        assert now() - began == pytest.approx(1.0, abs=0.01)


@virtual_time
async def test_drained_waits_for_the_lines_own_word() -> None:
    line = FakeLine(acks=True)
    playout = make(line)
    async with running(playout):
        began = now()
        playout.audio(audio(1000))
        playout.mark(playout.checkpoint)
        running_loop().call_later(1.4, playout.played, "cp-0")
        running_loop().call_later(1.6, playout.played, "cp-1")
        assert await playout.drained(10)
        assert now() - began == pytest.approx(1.6, abs=0.01)


@virtual_time
async def test_drained_does_not_wait_long_for_a_word_that_never_comes() -> None:
    playout = make(FakeLine(acks=True))
    async with running(playout):
        began = now()
        playout.audio(audio(1000))
        playout.mark(playout.checkpoint)
        assert await playout.drained(10)
        assert now() - began == pytest.approx(2.0, abs=0.01)
        assert await playout.drained(10)
        assert now() - began == pytest.approx(2.0, abs=0.01)


@virtual_time
@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError(), ConnectionResetError()])
async def test_a_line_that_is_gone_ends_it_quietly(error: Exception) -> None:
    line = FakeLine()
    playout = make(line)
    async with running(playout) as task:
        playout.audio(audio(2000))
        await asyncio.sleep(0.5)
        line.gone = error
        assert await playout.drained(10)
        assert task.done() and task.exception() is None
        playout.audio(audio(100))
        playout.mark(playout.checkpoint)
        assert await playout.drained(0)
        await playout.clear()
        assert not playout.playing


@virtual_time
async def test_clear_on_a_line_that_is_gone_raises_nothing() -> None:
    line = FakeLine()
    playout = make(line)
    async with running(playout):
        playout.audio(audio(2000))
        await asyncio.sleep(0.5)
        line.gone = OSError("gone")
        assert await playout.clear() == pytest.approx(500, abs=1)


@virtual_time
async def test_an_hour_of_audio() -> None:
    line = FakeLine()
    playout = make(line)
    marks = Marks()
    async with running(playout):
        for _ in range(60):
            assert playout.audio(audio(60_000))
            marks.add(playout, "minute")
            await asyncio.sleep(59.5)
        assert await playout.drained(4000)
    assert line.sent_ms == 3_600_000
    assert line.gaps() == []
    assert len(marks.called) == 60
    assert marks.called[-1][1] == pytest.approx(3_600_000, abs=5)


@virtual_time
async def test_no_audio_is_nothing() -> None:
    line = FakeLine()
    playout = make(line)
    async with running(playout):
        playout.audio(b"")
        playout.flush()
        assert await playout.drained(0.01)
    assert line.packets == []


@virtual_time
async def test_a_part_of_a_frame_waits_for_more_or_for_the_flush() -> None:
    line = FakeLine()
    playout = make(line)
    async with running(playout):
        playout.audio(audio(13))
        await asyncio.sleep(1)
        assert line.packets == [] and playout.backlog_ms == 0
        playout.flush()
        await asyncio.sleep(1)
    ((_, _, payload),) = line.packets
    assert payload == audio(13) + b"\xff" * (7 * BYTES_PER_MS)


@virtual_time
async def test_what_nobody_could_wait_for_is_not_kept() -> None:
    line = FakeLine()
    playout = make(line)
    async with running(playout):
        taken = [playout.audio(audio(60_000)) for _ in range(100)]
        assert taken == [True] * 5 + [False] * 95
        assert playout.backlog_ms == MAX_QUEUED_SECONDS * 1000
        await asyncio.sleep(70)
        assert playout.audio(audio(60_000)), "what was heard makes room"
        assert await playout.drained(400)
    assert line.sent_ms == 360_000
    assert line.gaps() == []
