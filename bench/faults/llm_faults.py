"""What a language model does wrong."""

from typing import Final

from bench.faults.fault import BACK, DROPPED, HANGS_MS, Fault, refusals
from simulators.behaviour import Behaviour

TOKENS_BEFORE_FAILURE: Final = 5
BYTES_BEFORE_FAILURE: Final = 90


def llm_faults(provider: str) -> list[Fault]:
    """What ``provider`` is made to do wrong, by how it answers."""
    if provider == "kenpath":
        return [*_before_a_word(provider), *_BY_BYTES]
    return [*_before_a_word(provider), *_BY_PIECES]


def _before_a_word(provider: str) -> list[Fault]:
    # Kenpath's own client asks a second time, before anybody is told.
    told = provider != "kenpath"
    return [
        BACK,
        *refusals(),
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


#: In mid-answer, of one that sends plain text.
_BY_BYTES: Final = (
    Fault(
        row="stalls in mid-answer",
        kinds=("stalled", "server", "dropped"),
        then=Behaviour(stall_after_bytes=BYTES_BEFORE_FAILURE),
    ),
    Fault(
        row="drops in mid-answer, once",
        kinds=DROPPED,
        next=(Behaviour(drop_after_bytes=BYTES_BEFORE_FAILURE),),
        alone="answer",
    ),
)
#: In mid-answer, of one whose answer comes in pieces.
_BY_PIECES: Final = (
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
        kinds=DROPPED,
        reply={"drop_after_chunks": TOKENS_BEFORE_FAILURE},
        broken_replies=1,
        alone="answer",
    ),
    Fault(
        row="says in mid-answer that it failed",
        kinds=DROPPED,
        reply={"error_after_chunks": TOKENS_BEFORE_FAILURE},
        broken_replies=9,
    ),
)
