"""How soon the in-process voice is heard, and what it costs.

Run as ``python -m bench.espeak_first_audio``.

For each language: milliseconds from asking to the first chunk, and milliseconds of CPU per
second of speech, at 8 kHz. Then the same wait when many calls ask at the same instant.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass

from config.phrases import phrases_for
from services.espeak import VOICES
from services.espeak.engine import Manner, speak

RATE_HZ = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One text spoken once."""

    first_ms: float
    cpu_ms: float
    speech_seconds: float


async def spoken(text: str, voice: str) -> Spoken:
    """Speak ``text`` and time it."""
    begun, cpu = time.perf_counter(), time.process_time()
    first: float | None = None
    made_bytes = 0
    async for chunk in speak(text, Manner(voice=voice), RATE_HZ):
        first = first or time.perf_counter()
        made_bytes += len(chunk)
    return Spoken(
        first_ms=((first or time.perf_counter()) - begun) * 1000,
        cpu_ms=(time.process_time() - cpu) * 1000,
        speech_seconds=made_bytes / 2 / RATE_HZ,
    )


async def language_line(language: str, rounds: int) -> str:
    """One line of the table."""
    phrases = phrases_for(language)
    texts = (phrases.apology, phrases.no_input, phrases.farewell, phrases.busy)
    found = [await spoken(text, VOICES[language]) for _ in range(rounds) for text in texts]
    cost = sum(one.cpu_ms for one in found) / sum(one.speech_seconds for one in found)
    return f"{language:<9}{percentiles([one.first_ms for one in found])}{cost:>12.2f}"


def percentiles(values: list[float]) -> str:
    """The 50th and 95th percentile and the most, in columns."""
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return f"{cuts[9]:>9.2f}{cuts[18]:>9.2f}{max(values):>9.2f}"


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="times each text is spoken")
    parser.add_argument("--calls", type=int, default=24, help="calls that ask at once")
    arguments = parser.parse_args()
    await spoken("ready", "en-us")
    print("language  p50 ms   p95 ms   max ms  CPU ms per s of speech")
    for language in VOICES:
        print(await language_line(language, arguments.rounds))
    crowd: list[float] = []
    for _ in range(arguments.rounds):
        text = phrases_for("hi").farewell
        together = await asyncio.gather(*(spoken(text, "hi") for _ in range(arguments.calls)))
        crowd += [one.first_ms for one in together]
    print(f"{arguments.calls} at once{percentiles(crowd)}")


if __name__ == "__main__":
    asyncio.run(main())
