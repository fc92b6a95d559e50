"""What a recogniser does wrong."""

from typing import Final

from bench.faults.fault import DROPPED, HANGS_MS, UNAVAILABLE, Fault, refusals
from simulators.behaviour import Behaviour

#: Most of a second of the caller's speech, as Bhashini's stream is given it.
MID_UTTERANCE_BYTES: Final = 48_000


def stt_faults(provider: str) -> list[Fault]:
    """What ``provider`` is made to do wrong, by how it hears."""
    if provider == "ai4bharat":
        return [*_at_the_door(provider), *_BY_REQUEST]
    if provider == "bhashini":
        return [*_at_the_door(provider), *_BY_UTTERANCE]
    return [*_at_the_door(provider), *_BY_SOCKET]


def _at_the_door(provider: str) -> list[Fault]:
    # A server that is asked by request is asked twice by its own client, before anybody is told.
    once = ("rate_limit",) if provider == "deepgram" else ()
    # Whether it gave nothing, or was not there, is told by the first who notices.
    hanging = Fault(
        row="hangs",
        kinds=("connect_timeout", "dropped", "no_result"),
        then=Behaviour(accept_delay_ms=HANGS_MS),
        alone="prompt" if provider == "ai4bharat" else "apology",
    )
    return [
        *refusals(),
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


#: Of a vendor that is asked by request, once the caller has spoken.
_BY_REQUEST: Final = (
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
)
_DROP: Final = Behaviour(drop_after_bytes=MID_UTTERANCE_BYTES)
#: Of one that has a stream for each utterance.
_BY_UTTERANCE: Final = (
    Fault(row="drops in mid-question, once", next=(_DROP,), alone="answer"),
    Fault(
        row="drops in mid-question, and stays away",
        kinds=(*DROPPED, "rate_limit"),
        next=(_DROP,),
        then=UNAVAILABLE,
    ),
    Fault(
        row="takes the speech and says nothing",
        kinds=("no_result", "dropped", "connect_timeout"),
        then=Behaviour(stall_after_ms=0),
    ),
)
#: Of one that has a socket for the whole call.
_BY_SOCKET: Final = (
    Fault(
        row="drops in mid-question, once",
        kinds=DROPPED,
        live=Behaviour(drop_after_ms=0),
        when="speech",
        alone="answer",
    ),
    Fault(
        row="drops in mid-question, and stays away",
        kinds=DROPPED,
        live=Behaviour(drop_after_ms=0),
        then=UNAVAILABLE,
        when="speech",
    ),
    Fault(
        row="says in mid-question that it failed",
        kinds=DROPPED,
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
)
