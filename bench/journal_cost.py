"""What the journal costs: CPU of handing over and writing, as a part of one core.

    python -m bench.journal_cost [--calls 50] [--seconds 20] [--encrypted]

One process plays the packets of all calls in real time (50 a second in each leg, mu-law), first
without a journal and then with one; the difference is the journal's, loop and thread together.
"""

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from serializer.codecs import MULAW_8K
from sessions.journal import CallJournal, JournalWriter
from sessions.journal_format import JournalHeader
from sessions.journal_seal import JournalKey, use_journal_keys

_PACKET = bytes(160)
_PACKET_SECONDS = 0.02

Take = Callable[[float, bytes], None]


def _header() -> JournalHeader:
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
    """CPU seconds used while playing, and the worst lateness of the loop in ms."""
    began, cpu, worst = time.monotonic(), time.process_time(), 0.0
    for step in range(round(seconds / _PACKET_SECONDS)):
        at_ms = step * _PACKET_SECONDS * 1000
        due = began + step * _PACKET_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        worst = max(worst, time.monotonic() - due)
        for caller, agent in takers:
            caller(at_ms, _PACKET)
            agent(at_ms, _PACKET)
    return time.process_time() - cpu, worst * 1000


def _nothing(_at_ms: float, _payload: bytes) -> None:
    return None


async def _measure(calls: int, seconds: float, root: Path, key: JournalKey | None) -> None:
    bare, _ = await _play([(_nothing, _nothing)] * calls, seconds)
    writer = JournalWriter(root, key=key)
    writer.start()
    journals: list[CallJournal] = [writer.open(_header()) for _ in range(calls)]
    while not all(j.status.on_disk for j in journals):  # noqa: ASYNC110 - a thread makes them
        await asyncio.sleep(0.01)
    opening_ms = writer.stats().longest_flush_ms
    full, late_ms = await _play([(j.caller_audio, j.agent_audio) for j in journals], seconds)
    stats = writer.stats()
    states = await asyncio.gather(*(journal.close() for journal in journals))
    await writer.close()
    share = (full - bare) / seconds
    packets = calls * 2 * seconds / _PACKET_SECONDS
    print(f"calls                    {calls}, {seconds:g} s, 100 packets a second each")
    print(f"journal, of one core     {share:.2%} ({(full - bare) / packets * 1e6:.2f} us a packet)")
    print(f"loop and timers alone    {bare / seconds:.2%}")
    print(f"opening all at once      {opening_ms:.1f} ms, in the thread")
    print(f"longest flush, all calls {stats.longest_flush_ms:.1f} ms")
    print(f"latest tick of the loop  {late_ms:.1f} ms")
    print(f"complete journals        {sum(state.complete for state in states)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--encrypted", action="store_true", help="as with JOURNAL_KEY")
    options = parser.parse_args()
    secret = SecretStr(b64encode(os.urandom(32)).decode())
    key = use_journal_keys(secret) if options.encrypted else None
    root = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        asyncio.run(_measure(options.calls, options.seconds, root, key))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
