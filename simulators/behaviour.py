"""What a simulated vendor does wrong, and when."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one connection (a WebSocket, or one HTTP request) is treated.

    The default is a vendor in good health. Times count from the moment the connection was
    accepted, or from the moment the behaviour was given to a connection that is already
    open. Byte counts are of audio received for speech-to-text, and of audio or body sent for
    everything else.

    Attributes:
        accept_delay_ms: Wait before the handshake or the response is answered at all.
        refuse_status: Answer with this HTTP status, in the vendor's own error shape.
        retry_after_seconds: ``Retry-After`` header of a refusal.
        first_result_delay_ms: Wait before the first thing said.
        speed: Multiple of real time at which results or audio come; below 1 is too slow.
            Without it, the simulator's own default.
        garbage_frames: Meaningless frames sent before the first result.
        flood_frames: Each WebSocket message comes so many times more, as fast as they are read.
        odd_frames: Cut audio in the middle of a sample.
        empty: Say nothing: empty transcripts, replies without text, speech without audio.
        audio_rate_hz: Make audio at this rate, whatever was asked or announced.
        error_after_bytes: Send the vendor's own error message after so much.
        drop_after_ms: Go away.
        drop_after_bytes: Go away after so much.
        drop_code: Go away with this WebSocket close code; without it the TCP connection is
            torn, which the other end sees as 1006.
        drop_reason: Reason that goes with ``drop_code``.
        stall_after_ms: Stay connected and keep reading, but say nothing more.
        stall_after_bytes: The same, after so much.
        half_open_after_ms: Stop reading, answer no ping, say nothing, never close.
    """

    accept_delay_ms: float = 0.0
    refuse_status: int | None = None
    retry_after_seconds: float | None = None
    first_result_delay_ms: float = 0.0
    speed: float | None = None
    garbage_frames: int = 0
    flood_frames: int = 0
    odd_frames: bool = False
    empty: bool = False
    audio_rate_hz: int | None = None
    error_after_bytes: int | None = None
    drop_after_ms: float | None = None
    drop_after_bytes: int | None = None
    drop_code: int | None = None
    drop_reason: str = ""
    stall_after_ms: float | None = None
    stall_after_bytes: int | None = None
    half_open_after_ms: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no vendor could do.

        Raises:
            ValueError: A speed of zero or less, or a status that refuses nothing.
        """
        if self.speed is not None and self.speed <= 0:
            raise ValueError("speed must be above 0; use stall_after_ms for a stall")
        if self.refuse_status is not None and not 300 <= self.refuse_status <= 599:
            raise ValueError(f"refuse_status {self.refuse_status} is no refusal")


WELL_BEHAVED = Behaviour()
