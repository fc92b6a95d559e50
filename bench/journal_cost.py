"""What the journal costs: CPU of handing over and writing, as a part of one core.

    python -m bench.journal_cost [--calls 50] [--rounds 5] [--seconds 4] [--encrypted]

One process plays the packets of all calls in real time (50 a second in each leg, mu-law), in
turns without a journal and with one, so that a machine that is busier for a while is so for both.
The loop's part is what its thread needs more with a journal than without, the writer's what its
thread needs in all; of each the median of the rounds, and the least and the most.
"""

import argparse
import asyncio
import os
import shutil
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

from pydantic import SecretStr

from serializer.codecs import MULAW_8K
from sessions.journal import CallJournal
from sessions.journal_format import JournalHeader
from sessions.journal_seal import JournalKey, use_journal_keys
from sessions.journal_writer import JournalWriter

_PACKET = bytes(160)
_PACKET_SECONDS = 0.02

Take = Callable[[float, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn without a journal and one with it.

    Attributes:
        bare_seconds: CPU of the loop's thread without a journal.
        loop_seconds: CPU of the loop's thread with one.
        writer_seconds: CPU of the journal's thread.
        bare_late_ms: Latest tick of the loop without a journal.
        late_ms: The same with one.
        opening_ms: Until the folders of all calls, opened at once, were there.
        opening_late_ms: Latest tick of the loop meanwhile.
        flush_ms: Longest time in which the thread wrote what waited of all calls.
        complete: Journals of which nothing was lost.
    """

    bare_seconds: float
    loop_seconds: float
    writer_seconds: float
    bare_late_ms: float
    late_ms: float
    opening_ms: float
    opening_late_ms: float
    flush_ms: float
    complete: int

    @property
    def handing_over_seconds(self) -> float:
        """CPU that the journal costs in the loop's thread."""
        return self.loop_seconds - self.bare_seconds


def header() -> JournalHeader:
    """Of a call that has an id of its own."""
    return JournalHeader(
        session_id=str(uuid4()),
        started_at=time.time(),
        agent_id="bench",
        agent_hash="",
        caller_format=MULAW_8K,
        agent_format=MULAW_8K,
        direction="inbound",
        dialect="vobiz",
    )


async def _play(takers: list[tuple[Take, Take]], seconds: float) -> tuple[float, float]:
    """CPU seconds of this thread while playing, and the worst lateness of the loop in ms."""
    began, cpu, worst = time.monotonic(), time.thread_time(), 0.0
    for step in range(round(seconds / _PACKET_SECONDS)):
        at_ms = step * _PACKET_SECONDS * 1000
        due = began + step * _PACKET_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        worst = max(worst, time.monotonic() - due)
        for caller, agent in takers:
            caller(at_ms, _PACKET)
            agent(at_ms, _PACKET)
    return time.thread_time() - cpu, worst * 1000


def _nothing(_at_ms: float, _payload: bytes) -> None:
    return None


async def _opened(journals: list[CallJournal]) -> float:
    """Wait until all are on disk; return the latest tick of the loop meanwhile, in ms."""
    worst = 0.0
    while not all(journal.status.on_disk for journal in journals):
        due = time.monotonic() + 0.001
        await asyncio.sleep(0.001)
        worst = max(worst, time.monotonic() - due)
    return worst * 1000


async def _round(calls: int, seconds: float, root: Path, key: JournalKey | None) -> Round:
    bare, bare_late = await _play([(_nothing, _nothing)] * calls, seconds)
    writer = JournalWriter(root, key=key)
    writer.start()
    began = time.monotonic()
    journals = [writer.open(header()) for _ in range(calls)]
    opening_late = await _opened(journals)
    opening_ms = (time.monotonic() - began) * 1000
    writer.stats()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "journal")
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    cpu = time.clock_gettime(clock)
    full, late = await _play([(j.caller_audio, j.agent_audio) for j in journals], seconds)
    cpu = time.clock_gettime(clock) - cpu
    flush_ms = writer.stats().longest_flush_ms
    states = await asyncio.gather(*(journal.close() for journal in journals))
    await writer.close()
    shutil.rmtree(root)
    return Round(
        bare_seconds=bare,
        loop_seconds=full,
        writer_seconds=cpu,
        bare_late_ms=bare_late,
        late_ms=late,
        opening_ms=opening_ms,
        opening_late_ms=opening_late,
        flush_ms=flush_ms,
        complete=sum(state.complete for state in states),
    )


def _report(rounds: Sequence[Round], calls: int, seconds: float) -> None:
    packets = calls * 2 * seconds / _PACKET_SECONDS

    def part(title: str, values: Sequence[float]) -> None:
        low, middle, high = (f(values) / seconds for f in (min, median, max))
        per_packet = median(values) / packets * 1e6
        print(f"{title:<26}{middle:.2%} ({low:.2%} to {high:.2%}), {per_packet:.2f} us a packet")

    handing_over = [it.handing_over_seconds for it in rounds]
    writing = [it.writer_seconds for it in rounds]
    print(f"{calls} calls, 100 packets a second each, {len(rounds)} rounds of {seconds:g} s")
    part("journal, of one core", [a + b for a, b in zip(handing_over, writing, strict=True)])
    part("  of it in the loop", handing_over)
    part("  of it in its thread", writing)
    part("loop and timers alone", [it.bare_seconds for it in rounds])
    late, bare_late = max(it.late_ms for it in rounds), max(it.bare_late_ms for it in rounds)
    print(f"{'latest tick of the loop':<26}{late:.1f} ms, {bare_late:.1f} ms without a journal")
    opening, tick = max(it.opening_ms for it in rounds), max(it.opening_late_ms for it in rounds)
    print(f"{'opening all at once':<26}{opening:.1f} ms, latest tick of the loop {tick:.1f} ms")
    print(f"{'longest flush, all calls':<26}{max(it.flush_ms for it in rounds):.1f} ms")
    complete = sum(it.complete for it in rounds)
    print(f"{'complete journals':<26}{complete} of {calls * len(rounds)}")


async def _measure(
    calls: int, count: int, seconds: float, root: Path, key: JournalKey | None
) -> None:
    rounds = [await _round(calls, seconds, root / str(number), key) for number in range(count)]
    _report(rounds, calls, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each half of a round")
    parser.add_argument("--encrypted", action="store_true", help="as with JOURNAL_KEY")
    options = parser.parse_args()
    secret = SecretStr(b64encode(os.urandom(32)).decode())
    key = use_journal_keys(secret) if options.encrypted else None
    root = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        asyncio.run(_measure(options.calls, options.rounds, options.seconds, root, key))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
