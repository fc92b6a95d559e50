"""How Vobiz and its phone line behave in one simulated call, and what was asked of them."""

from dataclasses import dataclass, field
from typing import Literal

from simulators.caller.codec import ByteOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class VobizLine:
    """How the platform and the line behave in one call.

    Attributes:
        answer_method: How webhooks are called.
        l16_in_order: Byte order of L16 towards the application (documented: big-endian).
        l16_out_order: Byte order of L16 towards the caller (documented: little-endian).
        media_before_start: How many ``media`` messages are sent before ``start``.
        ack_checkpoints: False: ``playedStream`` never comes.
        cleared_latency_ms: From ``clearAudio`` to ``clearedAudio``; None: it never comes.
        stop_on_hangup: Send the ``stop`` that only some of the vendor's material shows.
        hangup_delay_ms: From the closing of the socket to the Hangup webhook.
        auth_token: Signs webhooks where given.
    """

    from_number: str = "00000000001"
    to_number: str = "910000000002"
    direction: Literal["inbound", "outbound"] = "inbound"
    answer_method: Literal["GET", "POST"] = "POST"
    l16_in_order: ByteOrder = "big"
    l16_out_order: ByteOrder = "little"
    media_before_start: int = 0
    ack_checkpoints: bool = True
    cleared_latency_ms: float | None = 40.0
    stop_on_hangup: bool = False
    hangup_delay_ms: float = 0.0
    auth_token: str | None = None
    account_id: str = "500001"
    parent_auth_id: str = "MA_EXAMPLE"
    connect_timeout_seconds: float = 10.0


@dataclass(slots=True)
class VobizLog:
    """What the application asked for, beside audio.

    Attributes:
        answer_ms: How long the answer webhook took.
        connect_ms: How long the media socket took to open.
        checkpoints: Names asked for; ``played``: those acknowledged.
        lost_to_stop_ms: Audio still queued when the application sent ``stop``.
        webhook_failures: Callbacks that the application did not take.
    """

    answer_ms: float | None = None
    connect_ms: float | None = None
    checkpoints: list[str] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    lost_to_stop_ms: float = 0.0
    webhook_failures: list[str] = field(default_factory=list)
