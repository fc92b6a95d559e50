"""What the caller said of late, and what of it has come back as text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from bot.chains.audio_ring import AudioRing, Mark
from bot.chains.heard_twice import HeardTwice
from bot.chains.speech_ledger import SpeechLedger, heard_until_seconds

#: A new vendor hears so much of what went before: speech may just have begun.
LEAD_IN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Replay:
    """What a new vendor hears first.

    Attributes:
        origin: Where its audio begins, in samples since the call began.
        lost_seconds: Speech before it that is still without a text, and is kept no more.
        frames: Audio, and voice activity at its place, up to the present. Read while the
            caller goes on speaking, it goes on too.
    """

    origin: int
    lost_seconds: float
    frames: Iterator[InputAudioRawFrame | Mark]


class CallerSpeech:
    """Keeps the caller's audio as long as it may have to be heard again.

    Waits for nothing and knows no vendor.

    Args:
        rate_hz: Of the 16-bit mono audio.
    """

    def __init__(self, rate_hz: int) -> None:
        self._ring = AudioRing(rate_hz)
        self._ledger = SpeechLedger(rate_hz)
        self._origin = 0
        self._twice: HeardTwice | None = None

    @property
    def open(self) -> bool:
        """Whether speech is without its text."""
        return self._ledger.open

    @property
    def speaking(self) -> bool:
        """Whether voice activity says so."""
        return self._ledger.speaking

    @property
    def owes_text(self) -> bool:
        """Whether a vendor that hears should have given a text, or another one, by now."""
        return self._ledger.owes_text()

    def add(self, audio: bytes) -> None:
        """The caller's next audio."""
        self._ring.add(audio)

    def started(self, frame: VADUserStartedSpeakingFrame) -> bool:
        """The caller began to speak.

        Returns:
            Whether there is room for it: else the oldest speech without a text is given up.
        """
        has_room = self._ledger.started(self._ring.end, frame.start_secs)
        self._ring.mark(frame)
        self._keep_open()
        return has_room

    def stopped(self, frame: VADUserStoppedSpeakingFrame) -> None:
        """The caller fell silent."""
        self._ledger.stopped(self._ring.end, frame.stop_secs)
        self._ring.mark(frame)
        self._keep_open()

    def interim(self) -> None:
        """Somebody hears the caller."""
        self._ledger.interim()

    def take_text(self, frame: TranscriptionFrame) -> None:
        """A text came of the vendor in use; what came before it all the same is cut off it."""
        heard_until = heard_until_seconds(frame)
        until = None
        if heard_until is not None:
            until = self._origin + round(heard_until * self._ring.rate_hz)
        if self._twice is not None:
            frame.text = self._twice.rest(frame.text)
        self._ledger.final(frame.text, until, finalized=frame.finalized)
        self._keep_open()

    def dismiss(self) -> None:
        """No text will come of what ended so far."""
        self._ledger.dismiss()
        self._keep_open()

    def forget_repeats(self) -> None:
        """What comes from now on was not heard before."""
        self._twice = None

    def replay(self) -> Replay:
        """What has no text yet, and all that follows, for a new vendor."""
        ledger, ring = self._ledger, self._ring
        replay_from = ledger.replay_from
        lead_in = max(ring.end - int(LEAD_IN_SECONDS * ring.rate_hz), ledger.heard_to)
        origin = max(ring.start, lead_in if replay_from is None else replay_from)
        lost = 0 if replay_from is None else origin - replay_from
        self._twice = HeardTwice(ledger.said) if ledger.vague else None
        return Replay(origin, lost / ring.rate_hz, self._frames(origin))

    def follow(self, replay: Replay) -> None:
        """Texts come of whoever has heard ``replay`` from now on."""
        self._origin = replay.origin

    def _frames(self, origin: int) -> Iterator[InputAudioRawFrame | Mark]:
        ring = self._ring
        count, pieces = ring.count, ring.since(origin)
        marks = [piece for piece in pieces if not isinstance(piece, bytes)]
        if isinstance(marks[0], VADUserStoppedSpeakingFrame) if marks else self.speaking:
            yield VADUserStartedSpeakingFrame()
        while pieces:
            for piece in pieces:
                if isinstance(piece, bytes):
                    yield InputAudioRawFrame(piece, ring.rate_hz, 1)
                else:
                    yield _anew(piece)
            pieces, count = ring.newer(count), ring.count

    def _keep_open(self) -> None:
        self._ring.want(self._ledger.replay_from)


def _anew(mark: Mark) -> Mark:
    """What voice activity said, for another service."""
    if isinstance(mark, VADUserStoppedSpeakingFrame):
        return VADUserStoppedSpeakingFrame(stop_secs=mark.stop_secs)
    return VADUserStartedSpeakingFrame(start_secs=mark.start_secs)
