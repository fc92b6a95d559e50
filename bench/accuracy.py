"""How well the offline recogniser hears: ``python -m bench.accuracy`` prints a table.

For each language espeak says twenty phrases that are in the grammar and twenty that are not,
in three voices, as 8 kHz mu-law. Nothing of the recogniser was fitted to these voices or these
phrases: ``--tuning`` runs the other voices and other phrases that were used for that.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import yaml
from numpy.typing import NDArray

from serializer.codecs import mulaw_to_pcm, pcm_to_mulaw
from services.espeak.library import NATIVE_RATE_HZ, synthesize
from services.offline import LANGUAGES
from services.offline.frontend import RATE_HZ
from services.offline.recognizer import Recognizer
from services.offline.vocabulary import Vocabulary

PHRASES = Path(__file__).parent / "phrases"

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A way of speaking.

    Attributes:
        variant: espeak variant, with its plus sign.
        rate_wpm: Words per minute.
        pitch: 0 to 99.
    """

    variant: str
    rate_wpm: int
    pitch: int


#: Heard by nobody before: not while the recogniser was made, not by any test that shaped it.
TEST_SPEAKERS = (Speaker("+f2", 150, 50), Speaker("+m3", 165, 45), Speaker("+klatt", 155, 55))
TUNING_SPEAKERS = (
    Speaker("+m1", 160, 50),
    Speaker("+f4", 150, 60),
    Speaker("+m7", 180, 40),
    Speaker("+f5", 140, 45),
    Speaker("+steph", 160, 50),
    Speaker("+Andy", 165, 50),
)


@dataclass(frozen=True, slots=True)
class Material:
    """What is said in one language.

    Attributes:
        phrases: In the grammar.
        outside: Not in the grammar.
    """

    phrases: tuple[str, ...]
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """What became of it.

    Attributes:
        said: Utterances of phrases in the grammar.
        correct: Of those, accepted with the right text.
        confused: Of those, accepted with another text.
        foreign: Utterances of phrases outside the grammar.
        false_accepts: Of those, accepted.
        cpu_seconds: Processor time of all recognition.
    """

    said: int
    correct: int
    confused: int
    foreign: int
    false_accepts: int
    cpu_seconds: float


def material(language: str, *, tuning: bool) -> Material:
    """The phrase lists of one language, from ``bench/phrases``."""
    lists = yaml.safe_load((PHRASES / f"{language}.yaml").read_text(encoding="utf-8"))
    prefix = "tuning_" if tuning else ""
    return Material(tuple(lists[f"{prefix}phrases"]), tuple(lists[f"{prefix}outside"]))


def say(text: str, voice: str, speaker: Speaker, *, snr_db: float | None = None) -> bytes:
    """``text`` as it arrives over a telephone: PCM at 8 kHz that has been mu-law."""
    chunks: list[bytes] = []

    def keep(chunk: bytes) -> bool:
        chunks.append(chunk)
        return True

    synthesize(text, voice + speaker.variant, speaker.rate_wpm, speaker.pitch, keep)
    wide = np.frombuffer(b"".join(chunks), "<i2").astype(np.float32) * 0.6
    narrow = soxr.resample(wide, NATIVE_RATE_HZ, RATE_HZ, "HQ")
    line = np.concatenate([np.zeros(RATE_HZ * 3 // 10), narrow, np.zeros(RATE_HZ * 3 // 10)])
    if snr_db is not None:
        loud = narrow[np.abs(narrow) > 50]
        level = np.sqrt(np.mean(loud**2) / 10 ** (snr_db / 10))
        line += np.random.default_rng(len(line)).normal(0, level, len(line))
    pcm = np.clip(line, -32_000, 32_000).astype("<i2").tobytes()
    return mulaw_to_pcm(pcm_to_mulaw(pcm))


def measure(
    language: str, speakers: Sequence[Speaker], *, tuning: bool, snr_db: float | None
) -> Score:
    """Say everything in one language in every voice, and count."""
    lists = material(language, tuning=tuning)
    voice = _voice(language)
    recognizer = Recognizer(Vocabulary(lists.phrases, voice))
    correct = confused = false_accepts = 0
    cpu_seconds = 0.0
    for text in (*lists.phrases, *lists.outside):
        for speaker in speakers:
            pcm = say(text, voice, speaker, snr_db=snr_db)
            began = time.process_time()
            heard = recognizer.decode(pcm)
            cpu_seconds += time.process_time() - began
            if text in lists.outside:
                false_accepts += heard.accepted
            elif heard.accepted:
                correct += heard.text == text
                confused += heard.text != text
    return Score(
        said=len(lists.phrases) * len(speakers),
        correct=correct,
        confused=confused,
        foreign=len(lists.outside) * len(speakers),
        false_accepts=false_accepts,
        cpu_seconds=cpu_seconds,
    )


def table(measured: Sequence[tuple[str, Score]], write: Callable[[str], None] = print) -> None:
    """One line per language."""
    write("language  phrases  correct %  confused %  false accepts %  CPU per phrase")
    for language, score in measured:
        utterances = score.said + score.foreign
        write(
            f"{language:8}  {score.said:7}  {100 * score.correct / score.said:9.1f}"
            f"  {100 * score.confused / score.said:10.1f}"
            f"  {100 * score.false_accepts / score.foreign:15.1f}"
            f"  {1000 * score.cpu_seconds / utterances:11.0f} ms"
        )


def main() -> None:
    """Measure what the command line asks for."""
    known = sorted(path.stem for path in PHRASES.glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="bench.accuracy", description=__doc__.splitlines()[0])
    parser.add_argument("languages", nargs="*", default=["en", "hi", "mr", "bn", "ta", "te"])
    parser.add_argument("--tuning", action="store_true", help="voices and phrases it was made on")
    parser.add_argument("--snr", type=float, action="append", help="white noise in dB, repeatable")
    options = parser.parse_args()
    unknown = set(options.languages) - set(known)
    if unknown:
        parser.error(f"no phrases for {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    speakers = TUNING_SPEAKERS if options.tuning else TEST_SPEAKERS
    for snr_db in options.snr or (None, 15.0):
        print("clean line" if snr_db is None else f"\nwhite noise, {snr_db:g} dB below the speech")
        table(
            [
                (language, measure(language, speakers, tuning=options.tuning, snr_db=snr_db))
                for language in options.languages
            ]
        )


def _voice(language: str) -> str:
    return LANGUAGES["en-IN" if language == "en" else language]


if __name__ == "__main__":
    main()
