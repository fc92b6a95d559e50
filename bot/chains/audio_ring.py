"""The last seconds of a caller's audio, for whoever has to hear them again."""

from collections import deque
from itertools import islice
from typing import Final

from pipecat.frames.frames import VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame

Mark = VADUserStartedSpeakingFrame | VADUserStoppedSpeakingFrame

MAX_SECONDS: Final = 10.0
#: Audio that nobody may ask for again is kept for so long: speech is noticed after it began.
IDLE_SECONDS: Final = 1.0


class AudioRing:
    """Audio as it came, with what voice activity said of it at its place.

    Positions are samples since the call began. The pieces are kept as they came, without a
    copy: ten seconds at 8 kHz are 160 kB, and while nothing is awaited only the last second is
    kept.

    Args:
        rate_hz: Of the 16-bit mono audio.

    Attributes:
        end: Where the audio ends that has come so far.
        count: How many pieces and marks have come.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.end = 0
        self.count = 0
        self._pieces: deque[tuple[int, bytes | Mark]] = deque()
        self._max_samples = int(MAX_SECONDS * rate_hz)
        self._idle_samples = int(IDLE_SECONDS * rate_hz)
        self._wanted_from: int | None = None

    @property
    def start(self) -> int:
        """Where the oldest audio that is left begins."""
        return self._pieces[0][0] if self._pieces else self.end

    @property
    def size_bytes(self) -> int:
        """How much audio is kept."""
        return 2 * (self.end - self.start)

    def want(self, position: int | None) -> None:
        """From where on audio may be asked for again; None where all has been heard."""
        self._wanted_from = position

    def add(self, audio: bytes) -> None:
        """The caller's next audio."""
        pieces = self._pieces
        pieces.append((self.end, audio))
        self.count += 1
        self.end = end = self.end + len(audio) // 2
        wanted = self._wanted_from
        keep_from = end - self._idle_samples
        if wanted is not None:
            keep_from = max(min(wanted, keep_from), end - self._max_samples)
        while len(pieces) > 1 and pieces[1][0] <= keep_from:
            pieces.popleft()

    def mark(self, mark: Mark) -> None:
        """What voice activity says now."""
        self._pieces.append((self.end, mark))
        self.count += 1

    def since(self, position: int) -> list[bytes | Mark]:
        """Everything from ``position`` on, in order."""
        found: list[bytes | Mark] = []
        for start, piece in self._pieces:
            if start >= position:
                found.append(piece)
            elif isinstance(piece, bytes) and start + len(piece) // 2 > position:
                found.append(piece[2 * (position - start) :])
        return found

    def newer(self, count: int) -> list[bytes | Mark]:
        """What has come since there were ``count``."""
        new = min(self.count - count, len(self._pieces))
        return [piece for _, piece in islice(self._pieces, len(self._pieces) - new, None)]
