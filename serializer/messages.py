"""What a peer can say, once its bytes have been understood; the same for every dialect.

Audio stays in the wire's own codec (``Media.payload``), so that whoever needs samples pays for
decoding once: ``dialect.input_format.decode(media.payload)``.
"""

from typing import Literal

import msgspec

from serializer.codecs import AudioFormat

ControlAction = Literal["pause", "resume", "end", "interrupt"]

IgnoredReason = Literal[
    "duplicate_start",
    "empty_media",
    "other_track",
    "stale_media",
    "unknown_event",
]


class StreamStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier opened its media stream.

    Attributes:
        call_id: The carrier's id of the call; the same after a reconnect. None if it gave none.
        stream_id: The carrier's id of this stream; new after a reconnect.
        media: What the caller's audio is written in; None if the carrier did not say.
        account_id: The carrier's id of the customer.
        custom: What the carrier carried along for us: extra headers, custom parameters.
    """

    call_id: str | None
    stream_id: str
    media: AudioFormat | None = None
    account_id: str | None = None
    custom: dict[str, str] = {}


class Media(msgspec.Struct, frozen=True, gc=False):
    """A piece of the caller's audio.

    Attributes:
        payload: Samples in the dialect's ``input_format``, never empty.
        sequence: The sender's number of this piece, where it numbers them.
        timestamp_ms: The sender's own time of it, in whatever epoch it uses.
    """

    payload: bytes
    sequence: int | None = None
    timestamp_ms: int | None = None


class Dtmf(msgspec.Struct, frozen=True):
    """The caller pressed one key: ``0``-``9``, ``*``, ``#`` or ``A``-``D``."""

    digit: str


class PlaybackReached(msgspec.Struct, frozen=True):
    """All audio sent before the checkpoint of that name has been played to the caller."""

    name: str


class PlaybackCleared(msgspec.Struct, frozen=True):
    """The peer threw away what it had buffered; new audio may be sent."""


class StreamStopped(msgspec.Struct, frozen=True):
    """The peer says that no more audio will come. Many never say it and just close."""

    reason: str | None = None


class AuthRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A client program introduces itself; its token has not been verified yet.

    Attributes:
        token: A JWT.
        agent_id: Whom it wants to talk to; None leaves it to the URL or the default.
        format: The audio format of both directions.
        binary: Whether it wants to receive audio in binary frames.
    """

    token: str
    agent_id: str | None
    format: AudioFormat
    binary: bool = False

    def __repr__(self) -> str:
        return f"AuthRequest(agent_id={self.agent_id!r}, format={self.format!r})"


class Control(msgspec.Struct, frozen=True):
    """A client program steers its session."""

    action: ControlAction


class LanguageChoice(msgspec.Struct, frozen=True):
    """A client program asks for another language of the agent: a code or a name."""

    language: str


class TextInput(msgspec.Struct, frozen=True):
    """Something a client typed instead of saying it."""

    text: str


class Ping(msgspec.Struct, frozen=True):
    """Answer with ``dialect.pong()``."""


class Ignored(msgspec.Struct, frozen=True):
    """A message that is no fault and needs nothing done; ``reason`` serves as metric label."""

    reason: IgnoredReason


Message = (
    StreamStarted
    | Media
    | Dtmf
    | PlaybackReached
    | PlaybackCleared
    | StreamStopped
    | AuthRequest
    | Control
    | LanguageChoice
    | TextInput
    | Ping
    | Ignored
)
