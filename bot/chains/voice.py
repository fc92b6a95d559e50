"""One utterance as it is put together, and whether the caller hears gaps in it."""

from typing import Final

from pipecat.frames.frames import Frame

#: Slower than this times real time is too slow, once it has been so for ``SLOW_SECONDS``.
SLOW_PACE: Final = 0.95
SLOW_SECONDS: Final = 2.0
#: After the caller has heard a gap, so much audio is collected before it goes on.
PREBUFFER_MS: Final = 300.0


class Voice:
    """The utterance that is being put together, and whether the caller hears gaps in it."""

    def __init__(self) -> None:
        self.group: str | None = None
        self.audio_ms = 0.0
        self.piece_offset_ms = 0.0
        self._began_at = 0.0
        self._piece_began_at = 0.0
        self._held: list[Frame] = []
        self._held_ms = 0.0
        self._prebuffering = False
        self._excused = False
        self.underruns = 0

    def begin(self, group: str, now: float) -> None:
        """Its first audio is there."""
        self.group = group
        self._began_at = now

    def piece_begins(self, now: float) -> None:
        """The first audio of one of its sentences is there."""
        self.piece_offset_ms = self.audio_ms
        self._piece_began_at = now

    def excuse(self) -> None:
        """The next gap is not the fault of who speaks then."""
        self._excused = True

    def audio(self, frame: Frame, frame_ms: float, now: float) -> list[Frame]:
        """Audio has come.

        Returns:
            What may be heard now: all of it, unless the caller has just heard a gap.
        """
        behind_ms = (now - self._began_at) * 1000 - self.audio_ms
        if behind_ms > 0 and self.audio_ms and not self._prebuffering:
            self.underruns += not self._excused
            self._prebuffering = True
            self._began_at += behind_ms / 1000
        self._excused = False
        self.audio_ms += frame_ms
        self._held.append(frame)
        self._held_ms += frame_ms
        if self._prebuffering and self._held_ms < PREBUFFER_MS:
            return []
        return self.release()

    def release(self) -> list[Frame]:
        """What is held back."""
        held, self._held = self._held, []
        self._held_ms = 0.0
        self._prebuffering = False
        return held

    def too_slow(self, now: float) -> bool:
        """Whether the sentence has come more slowly than it is heard, with gaps, for long."""
        elapsed = now - self._piece_began_at
        came = (self.audio_ms - self.piece_offset_ms) / 1000
        return self.underruns > 0 and elapsed >= SLOW_SECONDS and came < SLOW_PACE * elapsed
