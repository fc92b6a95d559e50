"""What of a caller's speech has come back as text, and what has not."""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from pipecat.frames.frames import TranscriptionFrame

#: Speech begins softly, before voice activity is sure of it.
PREROLL_SECONDS: Final = 0.34
#: A text that ends so shortly before speech does has all of it.
SLACK_SECONDS: Final = 0.3
#: Less speech may well be a cough, of which no vendor makes a text.
MIN_SPEECH_SECONDS: Final = 0.6
#: The same behind a text: the rest of a breath, a pause, a noise.
MIN_REST_SECONDS: Final = 1.0
#: Stretches of speech and letters of their texts that are followed. Of both, no more than ten
#: seconds can be heard again (``audio_ring.MAX_SECONDS``), and the oldest go first.
MAX_STRETCHES: Final = 64
MAX_SAID_LETTERS: Final = 1000


@runtime_checkable
class Timed(Protocol):
    """A vendor's result that tells which audio it is about (Deepgram: ``Results``).

    Attributes:
        start: Seconds from the first audio that the vendor was given.
        duration: Seconds.
    """

    start: float
    duration: float


def heard_until_seconds(frame: TranscriptionFrame) -> float | None:
    """Up to where the audio that the vendor was given is in this text; None if it does not say."""
    result = frame.result
    if not isinstance(result, Timed):
        return None
    try:
        return float(result.start) + float(result.duration)
    except (TypeError, ValueError):
        return None


@dataclass(slots=True)
class _Stretch:
    """Speech between two pauses, in samples; one with ``exact`` begins where a text ended."""

    start: int
    end: int | None = None
    exact: bool = False


class SpeechLedger:
    """Follows one caller. Positions are samples, as in :class:`bot.chains.audio_ring.AudioRing`.

    Attributes:
        speaking: Whether voice activity says so.
        said: The texts that came of speech of which more is still to come.
        vague: Whether it is not known where the last of them ended.
        heard_to: Up to here all speech has its text, or is known to have none.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._stretches: list[_Stretch] = []
        self._interim = False
        self.speaking = False
        self.said = ""
        self.vague = False
        self.heard_to = 0

    @property
    def open(self) -> bool:
        """Whether speech is without its text."""
        return bool(self._stretches)

    @property
    def replay_from(self) -> int | None:
        """From where it would have to be heard again; None where all has its text."""
        if not self._stretches:
            return None
        first = self._stretches[0]
        preroll = 0 if first.exact else int(PREROLL_SECONDS * self._rate_hz)
        return max(self.heard_to, first.start - preroll)

    def started(self, position: int, noticed_after_seconds: float) -> bool:
        """The caller began to speak a little while ago.

        Returns:
            Whether there is room for it: else the oldest speech is given up.
        """
        self.speaking = True
        self._stretches.append(_Stretch(self._before(position, noticed_after_seconds)))
        if len(self._stretches) <= MAX_STRETCHES:
            return True
        self._keep(self._stretches[1:])
        return False

    def stopped(self, position: int, noticed_after_seconds: float) -> None:
        """The caller fell silent a little while ago."""
        self.speaking = False
        if not self._stretches or self._stretches[-1].end is not None:
            return
        last = self._stretches[-1]
        last.end = self._before(position, noticed_after_seconds)
        if last.exact and last.end <= last.start + int(SLACK_SECONDS * self._rate_hz):
            self._keep(self._stretches[:-1])

    def interim(self) -> None:
        """Somebody hears the caller."""
        self._interim = self.open

    def final(self, text: str, until: int | None, *, finalized: bool) -> None:
        """A text came.

        Args:
            until: Where the audio that it is about ends, if the vendor says.
            finalized: The vendor has no more to say of what ended so far.
        """
        self._interim = False
        if until is not None:
            self._keep_behind(until)
        elif self.speaking:
            # Of what stood before the last pause, if there was one.
            self.vague = self.vague or len(self._stretches) == 1
            self._keep(self._stretches[-1:])
        elif finalized or len(self._stretches) <= 1:
            self._keep([])
        else:
            self._keep(self._stretches[1:])
            self.vague = True
        if self._stretches:
            self.said = f"{self.said} {text}".strip()[-MAX_SAID_LETTERS:]

    def dismiss(self) -> None:
        """No text will come of what ended so far."""
        self._interim = False
        self._keep([stretch for stretch in self._stretches if stretch.end is None])

    def owes_text(self) -> bool:
        """Whether a vendor that hears should have given a text, or another one, by now."""
        if self._interim:
            return True
        seconds = self._seconds()
        return seconds >= (MIN_REST_SECONDS if self.said else MIN_SPEECH_SECONDS)

    def _seconds(self) -> float:
        samples = sum(s.end - s.start for s in self._stretches if s.end is not None)
        return samples / self._rate_hz

    def _keep_behind(self, until: int) -> None:
        self.heard_to = max(self.heard_to, until)
        reached = until + int(SLACK_SECONDS * self._rate_hz)
        self._keep([s for s in self._stretches if s.end is None or s.end > reached])
        if self._stretches and self._stretches[0].start < until:
            self._stretches[0].start, self._stretches[0].exact = until, True

    def _keep(self, left: list[_Stretch]) -> None:
        """Only these are still without their text; they are the last ones."""
        done = self._stretches[: len(self._stretches) - len(left)]
        self.heard_to = max([self.heard_to, *(s.end for s in done if s.end is not None)])
        self._stretches = left
        if not left:
            self._interim, self.said, self.vague = False, "", False

    def _before(self, position: int, seconds: float) -> int:
        return max(0, position - int(seconds * self._rate_hz))
