"""What happens in a call, as one stream of frozen records.

The bot emits these; sinks in ``sessions/`` (journal, live events, metrics, backend) consume
them through bounded queues. Times are milliseconds since the session began, on the monotonic
clock; a session knows the wall-clock instant of its zero.
"""

from dataclasses import dataclass
from typing import Literal

AgentStateName = Literal["listening", "thinking", "speaking", "paused", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """Base of all events.

    Attributes:
        at_ms: Milliseconds since the session began, monotonic.
    """

    at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(CallEvent):
    """The media stream is up and the call has been admitted."""

    carrier_call_id: str | None
    from_number: str | None
    to_number: str | None
    direction: Literal["inbound", "outbound", "client"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSpeechStarted(CallEvent):
    """The caller began to speak (voice activity)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSpeechStopped(CallEvent):
    """The caller fell silent (voice activity)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTranscript(CallEvent):
    """What the caller was heard to say; an interim text is replaced by the next.

    Attributes:
        started_ms: When the caller began this utterance.
        confidence: 0 to 1, None where the vendor does not say.
        source: How it came: speech, typed text or keypad digits.
    """

    text: str
    final: bool
    started_ms: float
    language: str | None
    confidence: float | None
    provider: str
    source: Literal["speech", "text", "dtmf"] = "speech"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeech(CallEvent):
    """A piece the agent spoke, sent when its playing ended or was cut.

    Attributes:
        started_ms: When its first sample was due at the caller's ear.
        text: What was sent to be spoken.
        heard_text: The part of ``text`` that the caller heard.
        interrupted: True where the caller cut it off.
    """

    turn: int
    started_ms: float
    text: str
    heard_text: str
    interrupted: bool
    language: str | None
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentText(CallEvent):
    """A piece of the agent's answer as it is handed to the synthesiser (not yet heard).

    Attributes:
        text: Empty where the answer ends with a sentence that was told before.
        final: Whether the answer ends here.
    """

    turn: int
    text: str
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(CallEvent):
    """The caller spoke over the agent; queued audio was dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStateChanged(CallEvent):
    """What the agent is doing now."""

    state: AgentStateName


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfReceived(CallEvent):
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnMetrics(CallEvent):
    """How long one turn took, in milliseconds; None where a stage did not take part.

    Attributes:
        response_ms: From the end of the caller's speech to the first reply audio sent.
        stt_ms: From the end of speech to the final transcript.
        llm_ms: From the request to the model's first token.
        tts_ms: From the text handed over to the first audio.
    """

    turn: int
    response_ms: float | None
    stt_ms: float | None
    llm_ms: float | None
    tts_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageChanged(CallEvent):
    """The conversation goes on in another language, for both sides.

    Attributes:
        language: Our code; ``previous`` likewise.
        reason: ``tool``, ``key``, ``api`` or ``speech``.
        after_ms: Since it was asked for.
    """

    language: str
    previous: str
    reason: str
    after_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage(CallEvent):
    """What a language model says that one request of the call took.

    Attributes:
        input_tokens: Of the question, those read from a cache too.
        output_tokens: Of the answer, thoughts too.
    """

    provider: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded(CallEvent):
    """Something failed and the call went on without it or with a substitute."""

    stage: str
    kind: str
    provider: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierNotice(CallEvent):
    """Something the carrier told us over a webhook or the socket (stream status, hang-up)."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(CallEvent):
    """The last event of every call.

    Attributes:
        cause: One of ``END_CAUSES``.
    """

    cause: str


#: Why a call ended; the closed list that records, metrics and close reasons share.
END_CAUSES: tuple[str, ...] = (
    "caller_hangup",
    "agent_hangup",
    "client_end",
    "max_duration",
    "silence",
    "transferred",
    "no_start",
    "peer_lost",
    "wire_error",
    "provider_failed",
    "drained",
    "internal_error",
    "crash",
)
