"""What a synthesiser does wrong."""

from typing import Final

from bench.faults.fault import AWAY, BACK, DROPPED, HANGS_MS, UNAVAILABLE, Fault, refusals
from simulators.behaviour import WELL_BEHAVED, Behaviour

#: No more audio than the first sentence and a half; by vendor, in bytes as it sends them.
MID_ANSWER_BYTES: Final = {"cartesia": 36_000, "sarvam": 36_000}
#: Half of a sentence, from a vendor that has a connection for each.
MID_SENTENCE_BYTES: Final = {"ai4bharat": 140_000}


def tts_faults(provider: str) -> list[Fault]:
    """What ``provider`` is made to do wrong, by how it speaks."""
    faults = [
        BACK,
        *refusals(403 if provider == "sarvam" else 401),
        Fault(
            row="hangs",
            kinds=("connect_timeout", "no_result", "dropped"),
            then=Behaviour(accept_delay_ms=HANGS_MS),
        ),
        Fault(
            row="gives no audio",
            kinds=("no_result",) if provider != "ai4bharat" else ("no_result", "dropped", "server"),
            then=Behaviour(stall_after_ms=0),
        ),
        Fault(
            row="audio without samples",
            kinds=("no_result", "error", "server", "dropped"),
            then=Behaviour(empty=True),
        ),
        Fault(row="garbage", then=Behaviour(garbage_frames=6), behind="answer", alone="either"),
        Fault(row="chunks of odd length", then=Behaviour(odd_frames=True), alone="answer"),
    ]
    return [*faults, *(_BETWEEN_SENTENCES if provider == "bhashini" else _mid_answer(provider))]


_BROKEN: Final = (WELL_BEHAVED, UNAVAILABLE)
#: Of one that gives a sentence whole, or not at all.
_BETWEEN_SENTENCES: Final = (
    Fault(
        row="another rate than asked for, told in the WAV header",
        then=Behaviour(audio_rate_hz=22_050),
        alone="answer",
    ),
    Fault(row="503 for the second sentence", next=_BROKEN, alone="answer"),
    Fault(
        row="away from the second sentence on",
        kinds=AWAY,
        next=_BROKEN[:1],
        then=UNAVAILABLE,
    ),
)


def _mid_answer(provider: str) -> list[Fault]:
    """What goes wrong when a voice has begun to speak."""
    whole: tuple[Behaviour, ...] = ()
    if provider in MID_ANSWER_BYTES:
        size = MID_ANSWER_BYTES[provider]
    else:
        size, whole = MID_SENTENCE_BYTES[provider], (WELL_BEHAVED,)
    drop = Behaviour(drop_after_bytes=size)
    return [
        Fault(
            row="drops in mid-answer, once",
            kinds=DROPPED,
            next=(*whole, drop),
            alone="answer",
        ),
        Fault(
            row="drops in mid-answer, and stays away",
            kinds=DROPPED,
            next=(*whole, drop),
            then=UNAVAILABLE,
        ),
        Fault(
            row="stalls in mid-answer",
            kinds=("stalled", "dropped", "server", "no_result"),
            next=(*whole, Behaviour(stall_after_bytes=size)),
            then=Behaviour(stall_after_ms=0),
        ),
        Fault(
            row="says in mid-answer that it failed",
            kinds=DROPPED,
            next=(*whole, Behaviour(error_after_bytes=size)),
            alone="answer",
        ),
        Fault(
            row="0.6 times real time",
            kinds=("slow", "underrun"),
            then=Behaviour(speed=0.6),
            alone="answer",
        ),
    ]
