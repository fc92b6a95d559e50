"""How old sound gets before it is on disk while the loop builds other calls: a kill's cost.

    python -m bench.journal_lateness [--calls 20] [--built 10] [--bursts 14]

One process plays packets into the journals of live calls in real time. In each burst it builds
others, 30 ms of the interpreter each, while as many that it built before end; then it looks how
old the oldest sound is that is not in the journal's file. Of each burst the worst is kept.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from bench.figures import percentile
from bench.journal_cost import header
from sessions.journal import CallJournal
from sessions.journal_writer import JournalWriter

_PACKET = bytes(160)
_PACKET_SECONDS = 0.02
_BURST_EVERY = 25
#: A call is built in steps between which the loop looks at the clock.
_STEPS, _STEP_SECONDS = 6, 0.005


class LiveCalls:
    """Calls whose sound comes at known times."""

    def __init__(self, writer: JournalWriter, count: int) -> None:
        self.journals = [writer.open(header()) for _ in range(count)]
        self._came: list[float] = []
        self._frame_bytes = 0

    async def opened(self) -> None:
        """Wait until all are on disk and the size of a packet there is known."""
        self.packet()
        while not all(it.file.written_bytes for it in self.journals):  # noqa: ASYNC110 - a thread
            await asyncio.sleep(0.001)
        self._frame_bytes = self.journals[0].file.written_bytes

    def packet(self) -> None:
        """One for each."""
        now = time.monotonic()
        self._came.append(now)
        for journal in self.journals:
            journal.caller_audio(now * 1000, _PACKET)

    def oldest_ms(self) -> float:
        """Age of the oldest packet that is not on disk."""
        written = min(journal.file.written_bytes for journal in self.journals)
        waiting = self._came[written // self._frame_bytes :]
        return (time.monotonic() - waiting[0]) * 1000 if waiting else 0.0


def _busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(50))


async def _burst(
    live: LiveCalls, writer: JournalWriter, count: int, ending: list[CallJournal]
) -> tuple[float, list[CallJournal]]:
    """Build ``count`` calls and end others; returns the worst age, in ms, and what was built."""
    worst = 0.0
    built = []
    async with asyncio.TaskGroup() as ends:
        for number in range(count):
            built.append(writer.open(header()))
            for _ in range(_STEPS):
                _busy(_STEP_SECONDS)
                worst = max(worst, live.oldest_ms())
            if number < len(ending):
                ends.create_task(ending[number].close())
            # What came meanwhile is read between two calls.
            await asyncio.sleep(0)
            live.packet()
        for _ in range(10):
            await asyncio.sleep(_STEP_SECONDS)
            worst = max(worst, live.oldest_ms())
    return worst, built


async def _measure(root: Path, calls: int, count: int, bursts: int) -> list[float]:
    writer = JournalWriter(root)
    writer.start()
    live = LiveCalls(writer, calls)
    await live.opened()
    built: list[CallJournal] = []
    worst = []
    for _ in range(bursts):
        for _ in range(_BURST_EVERY):
            await asyncio.sleep(_PACKET_SECONDS)
            live.packet()
        of_burst, built = await _burst(live, writer, count, built)
        worst.append(of_burst)
    for journal in (*live.journals, *built):
        await journal.close()
    await writer.close()
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=20, help="that live")
    parser.add_argument("--built", type=int, default=10, help="in a burst")
    parser.add_argument("--bursts", type=int, default=14)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        worst = asyncio.run(_measure(root, options.calls, options.built, options.bursts))
    finally:
        shutil.rmtree(root)
    print(
        f"{options.calls} calls, {options.bursts} bursts of {options.built} more; the oldest sound"
        f" not on disk was, in a burst, p50 {percentile(worst, 0.5):.0f} ms old,"
        f" p90 {percentile(worst, 0.9):.0f}, at most {max(worst):.0f}"
    )


if __name__ == "__main__":
    main()
