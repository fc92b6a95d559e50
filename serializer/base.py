"""What every wire dialect can do, and the limits that all of them keep.

A dialect is one socket's protocol state without any I/O: text or bytes in, messages out, and
text or bytes to send. One object serves one socket and is not shared.
"""

from collections import Counter
from typing import Final, Literal, Protocol

from serializer.codecs import AudioFormat
from serializer.messages import Ignored, IgnoredReason, Message

#: Longest message that is read, text or binary.
MAX_MESSAGE_BYTES: Final = 64 * 1024
#: Deepest nesting of objects and arrays that is read.
MAX_JSON_DEPTH: Final = 8
#: All audio is sent in multiples of this.
PACKET_MS: Final = 20

#: Codes after which the socket cannot go on; all others are counted and survived.
FATAL_WIRE_CODES: Final = frozenset(
    {
        "agent_unknown",
        "auth_invalid",
        "conflicting_start",
        "dialect_unknown",
        "format_unsupported",
        "start_invalid",
    }
)

Role = Literal["user", "agent"]
StatusName = Literal["listening", "thinking", "speaking", "paused", "ended"]


class Dialect(Protocol):
    """One peer's way of speaking.

    Every encoder returns what to send as one WebSocket message (``str`` is a text frame,
    ``bytes`` a binary one), or None where the dialect has no such message: callers need not
    know which dialect they talk to, they send what is not None.

    Attributes:
        name: Metric label and log key.
        ignored: How many messages were passed over, by ``Ignored.reason``, and how often an
            odd last byte was cut off (``odd_length``).
        sends_acks: Whether the peer answers ``checkpoint`` and ``clear``.
    """

    @property
    def name(self) -> str: ...

    @property
    def ignored(self) -> Counter[str]: ...

    @property
    def sends_acks(self) -> bool: ...

    @property
    def input_format(self) -> AudioFormat | None:
        """What ``Media.payload`` is written in; None until start or auth has been decoded."""

    @property
    def output_format(self) -> AudioFormat | None:
        """What ``audio`` takes; None until start or auth has been decoded."""

    def decode(self, data: str | bytes) -> Message:
        """Understand one WebSocket message.

        Raises:
            WireError: It breaks the protocol; nothing else is ever raised. The call goes on
                unless the code is in ``FATAL_WIRE_CODES``.
        """

    def audio(self, payload: bytes) -> str | bytes:
        """The message that plays ``payload``, samples in ``output_format``.

        Raises:
            WireError: Nothing has been negotiated yet (``not_started``).
        """

    def checkpoint(self, name: str) -> str | None:
        """Ask to be told (``PlaybackReached``) when all audio so far has been played."""

    def clear(self) -> str | None:
        """Have the peer drop its buffered audio; it answers ``PlaybackCleared``."""

    def stop(self) -> str | None:
        """End the stream from our side; audio not yet played is lost."""

    def interrupted(self) -> str | None:
        """Tell that the caller spoke over the agent; the peer drops what it has buffered."""

    def ready(self, session_id: str) -> str | None:
        """Tell that audio may flow; to be sent once, before any other message of a session."""

    def transcript(self, role: Role, text: str, final: bool) -> str | None:
        """Tell what was said; an interim text replaces the one before it."""

    def status(self, state: StatusName) -> str | None:
        """Tell what the agent is doing now."""

    def metrics(
        self,
        turn: int,
        *,
        response_ms: float | None = None,
        stt_ms: float | None = None,
        llm_ms: float | None = None,
        tts_ms: float | None = None,
    ) -> str | None:
        """Tell how long one turn took."""

    def error(self, code: str, message: str, fatal: bool) -> str | None:
        """Tell what went wrong; after a fatal error the socket is closed."""

    def language(self, language: str) -> str | None:
        """Tell which language is spoken from now on; a code of ours."""

    def pong(self) -> str | None:
        """Answer a ``Ping``."""


class BaseDialect:
    """What dialects share: the counts, and saying nothing where a dialect has no word for it."""

    sends_acks = False

    def __init__(self) -> None:
        self._ignored: Counter[str] = Counter()
        self._input_format: AudioFormat | None = None
        self._output_format: AudioFormat | None = None

    @property
    def ignored(self) -> Counter[str]:
        """See :class:`Dialect`."""
        return self._ignored

    @property
    def input_format(self) -> AudioFormat | None:
        """See :class:`Dialect`."""
        return self._input_format

    @property
    def output_format(self) -> AudioFormat | None:
        """See :class:`Dialect`."""
        return self._output_format

    def checkpoint(self, name: str) -> str | None:
        """See :class:`Dialect`."""
        return None

    def clear(self) -> str | None:
        """See :class:`Dialect`."""
        return None

    def stop(self) -> str | None:
        """See :class:`Dialect`."""
        return None

    def interrupted(self) -> str | None:
        """See :class:`Dialect`."""
        return None

    def ready(self, session_id: str) -> str | None:
        """See :class:`Dialect`."""
        return None

    def transcript(self, role: Role, text: str, final: bool) -> str | None:
        """See :class:`Dialect`."""
        return None

    def status(self, state: StatusName) -> str | None:
        """See :class:`Dialect`."""
        return None

    def metrics(
        self,
        turn: int,
        *,
        response_ms: float | None = None,
        stt_ms: float | None = None,
        llm_ms: float | None = None,
        tts_ms: float | None = None,
    ) -> str | None:
        """See :class:`Dialect`."""
        return None

    def error(self, code: str, message: str, fatal: bool) -> str | None:
        """See :class:`Dialect`."""
        return None

    def language(self, language: str) -> str | None:
        """See :class:`Dialect`."""
        return None

    def pong(self) -> str | None:
        """See :class:`Dialect`."""
        return None

    def _ignore(self, reason: IgnoredReason) -> Ignored:
        self._ignored[reason] += 1
        return Ignored(reason)

    def _whole_samples(self, payload: bytes) -> bytes:
        """Cut off half a sample: each message stands alone, so it has no other half."""
        if len(payload) & 1 and self._input_format and self._input_format.encoding == "pcm":
            self._ignored["odd_length"] += 1
            return payload[:-1]
        return payload
