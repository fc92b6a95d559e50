"""What voice activity costs per window and call, by batch size: ``python -m bench.vad_cost``."""

import asyncio
import time

import numpy as np

from bot.turns import vad_params
from bot.vad import WINDOW_MS, VadEngine, VoiceActivity

RATE_HZ = 8000
BATCHES = (1, 4, 8, 16, 32, 64)
WINDOWS = 300


async def _ignore(_speaking: bool, _for_ms: float) -> None:
    """Nobody listens."""


async def main() -> None:
    """Print the table; the best of three runs each."""
    noise = np.random.default_rng(1).normal(0, 3000, (RATE_HZ * WINDOW_MS // 1000, 64))
    pcm = noise.astype("<i2")
    alone = 0.0
    print(f"{'calls':>5}  {'us per window and call':>22}  {'ratio':>5}  {'core per call':>13}")
    for size in BATCHES:
        engine = VadEngine()
        calls = [VoiceActivity(RATE_HZ, _ignore, vad_params()) for _ in range(size)]
        best = min(_seconds(engine, calls, pcm) for _ in range(3)) / WINDOWS / size
        alone = alone or best
        share = best / (WINDOW_MS / 1000)
        print(f"{size:>5}  {best * 1e6:>22.1f}  {best / alone:>5.2f}  {share:>13.5f}")


def _seconds(engine: VadEngine, calls: list[VoiceActivity], pcm: "np.ndarray") -> float:
    began = time.process_time()
    for _ in range(WINDOWS):
        for index, call in enumerate(calls):
            call.pending += pcm[:, index].tobytes()
        engine.run_batch(calls, RATE_HZ)
    return time.process_time() - began


if __name__ == "__main__":
    asyncio.run(main())
