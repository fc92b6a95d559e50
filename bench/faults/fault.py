"""What a vendor does wrong, by stage, and what must then be heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from simulators.behaviour import WELL_BEHAVED, Behaviour

#: ``call``: before the call. ``speech``: in the middle of the caller's question.
When = Literal["call", "speech"]
#: What is heard of the answer: ``answer``, whole and once; ``apology``; ``either``, where it is
#: the vendor's luck whether it is there again in time: any of these; ``prompt``: the caller is
#: asked again, since what was not understood may have been a noise.
Heard = Literal["answer", "apology", "either", "prompt"]

HANGS_MS: Final = 60_000.0
UNAVAILABLE: Final = Behaviour(refuse_status=503)
#: No more audio than the first sentence and a half; by vendor, in bytes as it sends them.
MID_ANSWER_BYTES: Final = {"cartesia": 36_000, "sarvam": 36_000}
#: Half of a sentence, from a vendor that has a connection for each.
MID_SENTENCE_BYTES: Final = {"ai4bharat": 140_000}
#: Most of a second of the caller's speech, as Bhashini's stream is given it.
MID_UTTERANCE_BYTES: Final = 48_000
TOKENS_BEFORE_FAILURE: Final = 5
BYTES_BEFORE_FAILURE: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a vendor does wrong.

    Attributes:
        row: Names it in the table.
        kinds: One of these must be recorded for the vendor; none: nothing need be.
        next: How its next connections are treated, one after the other.
        then: How those after them are.
        live: How those are that are open at that moment.
        reply: What is wrong with a chat model's replies.
        broken_replies: How many of them.
        when: When it begins.
        behind: What is heard where somebody stands behind the vendor.
        alone: What is heard where nobody does.
        limit_seconds: The longest silence that there may be, with somebody behind.
        heals: The vendor is well again for a second question, which must be answered.
    """

    row: str
    kinds: tuple[str, ...] = ()
    next: tuple[Behaviour, ...] = ()
    then: Behaviour = WELL_BEHAVED
    live: Behaviour | None = None
    reply: Mapping[str, Any] = field(default_factory=dict)
    broken_replies: int = 0
    when: When = "call"
    behind: Heard = "answer"
    alone: Heard = "apology"
    limit_seconds: float = 2.0
    heals: bool = False


_AWAY: Final = ("server", "dropped", "error", "rate_limit")
_DROPPED: Final = ("dropped", "server", "error", "stalled", "no_result")


def _refusals(auth_status: int = 401) -> list[Fault]:
    """What any vendor may say at its door."""
    return [
        Fault(
            row=f"{auth_status}",
            kinds=("auth", "server"),
            then=Behaviour(refuse_status=auth_status),
        ),
        Fault(
            row="429, for a minute",
            kinds=("rate_limit",),
            then=Behaviour(refuse_status=429, retry_after_seconds=60),
        ),
        Fault(row="503", kinds=_AWAY, then=UNAVAILABLE),
    ]


_BACK: Final = Fault(
    row="503, and well again for the next question", kinds=_AWAY, then=UNAVAILABLE, heals=True
)


def tts_faults(provider: str) -> list[Fault]:
    faults = [
        _BACK,
        *_refusals(403 if provider == "sarvam" else 401),
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
    if provider == "bhashini":
        broken = (WELL_BEHAVED, UNAVAILABLE)
        return [
            *faults,
            Fault(
                row="another rate than asked for, told in the WAV header",
                then=Behaviour(audio_rate_hz=22_050),
                alone="answer",
            ),
            Fault(row="503 for the second sentence", next=broken, alone="answer"),
            Fault(
                row="away from the second sentence on",
                kinds=_AWAY,
                next=broken[:1],
                then=UNAVAILABLE,
            ),
        ]
    return [*faults, *_mid_answer(provider)]


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
            kinds=_DROPPED,
            next=(*whole, drop),
            alone="answer",
        ),
        Fault(
            row="drops in mid-answer, and stays away",
            kinds=_DROPPED,
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
            kinds=_DROPPED,
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


def llm_faults(provider: str) -> list[Fault]:
    # Kenpath's own client asks a second time, before anybody is told.
    told = provider != "kenpath"
    faults = [
        _BACK,
        *_refusals(),
        Fault(
            row="500 once",
            kinds=("server",) if told else (),
            next=(Behaviour(refuse_status=500),),
            alone="answer",
        ),
        Fault(
            row="429 once, for 0.3 s",
            kinds=("rate_limit",) if told else (),
            next=(Behaviour(refuse_status=429, retry_after_seconds=0.3),),
            alone="answer",
        ),
        Fault(
            row="hangs",
            kinds=("no_result", "dropped"),
            then=Behaviour(accept_delay_ms=HANGS_MS),
        ),
        Fault(row="no first token", kinds=("no_result",), then=Behaviour(stall_after_ms=0)),
        Fault(
            row="an answer without a word",
            kinds=("no_result", "server"),
            then=Behaviour(empty=True),
        ),
        Fault(row="garbage", kinds=(), then=Behaviour(garbage_frames=3), alone="either"),
    ]
    if provider == "kenpath":
        size = BYTES_BEFORE_FAILURE
        return [
            *faults,
            Fault(
                row="stalls in mid-answer",
                kinds=("stalled", "server", "dropped"),
                then=Behaviour(stall_after_bytes=size),
            ),
            Fault(
                row="drops in mid-answer, once",
                kinds=_DROPPED,
                next=(Behaviour(drop_after_bytes=size),),
                alone="answer",
            ),
        ]
    return [
        *faults,
        Fault(
            row="stalls in mid-answer",
            kinds=("stalled",),
            reply={"stall_after_chunks": TOKENS_BEFORE_FAILURE},
            broken_replies=9,
        ),
        Fault(
            row="stalls in mid-answer, once",
            kinds=("stalled",),
            reply={"stall_after_chunks": TOKENS_BEFORE_FAILURE},
            broken_replies=1,
            alone="answer",
        ),
        Fault(
            row="drops in mid-answer, once",
            kinds=_DROPPED,
            reply={"drop_after_chunks": TOKENS_BEFORE_FAILURE},
            broken_replies=1,
            alone="answer",
        ),
        Fault(
            row="says in mid-answer that it failed",
            kinds=_DROPPED,
            reply={"error_after_chunks": TOKENS_BEFORE_FAILURE},
            broken_replies=9,
        ),
    ]


def stt_faults(provider: str) -> list[Fault]:
    # A server that is asked by request is asked twice by its own client, before anybody is told.
    once = ("rate_limit",) if provider == "deepgram" else ()
    # Whether it gave nothing, or was not there, is told by the first who notices.
    hanging = Fault(
        row="hangs",
        kinds=("connect_timeout", "dropped", "no_result"),
        then=Behaviour(accept_delay_ms=HANGS_MS),
        alone="prompt" if provider == "ai4bharat" else "apology",
    )
    faults = [
        *_refusals(),
        Fault(
            row="429 once, for 0.3 s",
            kinds=once,
            next=(Behaviour(refuse_status=429, retry_after_seconds=0.3),),
            alone="answer",
        ),
        hanging,
        Fault(
            row="garbage",
            then=Behaviour(garbage_frames=3),
            alone="either",
        ),
    ]
    if provider == "ai4bharat":
        return [
            *faults,
            Fault(
                row="takes the speech and says nothing",
                kinds=("no_result",),
                then=Behaviour(stall_after_ms=0),
                alone="prompt",
            ),
            Fault(
                row="drops once",
                next=(Behaviour(drop_after_ms=0),),
                alone="answer",
            ),
        ]
    if provider == "bhashini":
        drop = Behaviour(drop_after_bytes=MID_UTTERANCE_BYTES)
        silent = Behaviour(stall_after_ms=0)
        return [
            *faults,
            Fault(row="drops in mid-question, once", next=(drop,), alone="answer"),
            Fault(
                row="drops in mid-question, and stays away",
                kinds=(*_DROPPED, "rate_limit"),
                next=(drop,),
                then=UNAVAILABLE,
            ),
            Fault(
                row="takes the speech and says nothing",
                kinds=("no_result", "dropped", "connect_timeout"),
                then=silent,
            ),
        ]
    return [
        *faults,
        Fault(
            row="drops in mid-question, once",
            kinds=_DROPPED,
            live=Behaviour(drop_after_ms=0),
            when="speech",
            alone="answer",
        ),
        Fault(
            row="drops in mid-question, and stays away",
            kinds=_DROPPED,
            live=Behaviour(drop_after_ms=0),
            then=UNAVAILABLE,
            when="speech",
        ),
        Fault(
            row="says in mid-question that it failed",
            kinds=_DROPPED,
            live=Behaviour(error_after_bytes=0),
            when="speech",
            alone="answer",
        ),
        Fault(
            row="half open from mid-question on",
            kinds=("no_result", "dropped", "connect_timeout"),
            live=Behaviour(half_open_after_ms=0),
            then=Behaviour(accept_delay_ms=HANGS_MS),
            when="speech",
        ),
    ]
