"""Where speech begins and ends, by loudness alone, at a few microseconds a packet.

No arithmetic on samples: one byte of each sample is looked up in a table of loudness, and the
table's answers are summed.
"""

from dataclasses import dataclass
from typing import Final

_ONE_STEP: Final = {"linear16": 256, "mulaw": 128, "alaw": 128}
ENCODINGS: Final = frozenset(_ONE_STEP)
BYTES_PER_SAMPLE: Final = {"linear16": 2, "mulaw": 1, "alaw": 1}
WINDOW_MS: Final = 20


def _mulaw_magnitude(code: int) -> int:
    """G.711 mu-law to the size of the sample, 16 bit."""
    code = ~code & 0xFF
    return (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 0x07)) - 0x84


def _alaw_magnitude(code: int) -> int:
    """G.711 A-law to the size of the sample, 16 bit."""
    code ^= 0x55
    segment, step = code >> 4 & 0x07, (code & 0x0F) << 4
    return step + 8 if segment == 0 else step + 0x108 << segment - 1


#: High byte of a little-endian sample, as a number that grows with the sample's size.
_HIGH_BYTE_TABLE: Final = bytes(high if high < 128 else 255 - high for high in range(256))
_TABLES: Final = {
    "linear16": _HIGH_BYTE_TABLE,
    "mulaw": bytes(min(255, _mulaw_magnitude(code) >> 7) for code in range(256)),
    "alaw": bytes(min(255, _alaw_magnitude(code) >> 7) for code in range(256)),
}


def loudness(audio: bytes | bytearray, encoding: str = "linear16") -> float:
    """Mean size of the samples, 0 to 32768, rounded down by about 128."""
    if encoding == "linear16":
        levels = audio[1::2].translate(_HIGH_BYTE_TABLE)
    else:
        levels = audio.translate(_TABLES[encoding])
    return sum(levels) * _ONE_STEP[encoding] / len(levels) if levels else 0.0


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at ``at_ms`` of the stream."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech lasted from ``start_ms`` to ``end_ms``; ``at_ms`` is when that was clear."""

    start_ms: float
    end_ms: float
    at_ms: float


SpeechEvent = SpeechStarted | SpeechEnded
_NOTHING: Final[tuple[SpeechEvent, ...]] = ()


class Endpointer:
    """Finds utterances in a stream of audio: audio in, events out, no clock.

    Args:
        rate_hz: Sample rate.
        encoding: ``linear16`` (little-endian), ``mulaw`` or ``alaw``, mono.
        silence_ms: Quiet that ends an utterance; infinity never does.
        threshold: Mean sample size above which 20 ms count as speech.
        onset_ms: Speech that makes an utterance; shorter noises are ignored.

    Attributes:
        position_ms: How much audio has been heard.
        speaking: Whether an utterance is under way.
        started_ms: Where it began.
        last_loud_ms: End of the last loud window.
    """

    def __init__(
        self,
        *,
        rate_hz: int,
        encoding: str,
        silence_ms: float,
        threshold: float = 300.0,
        onset_ms: float = 60.0,
    ) -> None:
        self.position_ms = 0.0
        self.speaking = False
        self.started_ms = 0.0
        self.last_loud_ms = 0.0
        self._silence_ms = silence_ms
        self._onset_ms = onset_ms
        self._linear = encoding == "linear16"
        self._table = _TABLES[encoding]
        samples = rate_hz * WINDOW_MS // 1000
        self._window_bytes = samples * BYTES_PER_SAMPLE[encoding]
        self._threshold_sum = threshold / _ONE_STEP[encoding] * samples
        self._rest = b""
        self._onset_from_ms: float | None = None

    def feed(self, audio: bytes) -> tuple[SpeechEvent, ...]:
        """Hear some more; what is short of a 20 ms window waits for the next call."""
        window = self._window_bytes
        if len(audio) == window and not self._rest:
            return self._hear_window(audio)
        if self._rest:
            audio = self._rest + audio
        events: list[SpeechEvent] = []
        end = len(audio) - len(audio) % window
        for start in range(0, end, window):
            events += self._hear_window(audio[start : start + window])
        self._rest = audio[end:]
        return tuple(events)

    def finish(self) -> tuple[SpeechEvent, ...]:
        """End the utterance under way, if any, where it stands."""
        if not self.speaking:
            self._onset_from_ms = None
            return _NOTHING
        return (self._end(),)

    def _hear_window(self, audio: bytes) -> tuple[SpeechEvent, ...]:
        levels = (audio[1::2] if self._linear else audio).translate(self._table)
        now_ms = self.position_ms = self.position_ms + WINDOW_MS
        if sum(levels) >= self._threshold_sum:
            self.last_loud_ms = now_ms
            return _NOTHING if self.speaking else self._onset(now_ms)
        quiet_ms = now_ms - self.last_loud_ms
        if self.speaking:
            return (self._end(),) if quiet_ms >= self._silence_ms else _NOTHING
        if quiet_ms > self._onset_ms:
            self._onset_from_ms = None
        return _NOTHING

    def _onset(self, now_ms: float) -> tuple[SpeechEvent, ...]:
        if self._onset_from_ms is None:
            self._onset_from_ms = now_ms - WINDOW_MS
        if now_ms - self._onset_from_ms < self._onset_ms:
            return _NOTHING
        self.speaking = True
        self.started_ms = self._onset_from_ms
        self._onset_from_ms = None
        return (SpeechStarted(self.started_ms),)

    def _end(self) -> SpeechEnded:
        self.speaking = False
        return SpeechEnded(self.started_ms, self.last_loud_ms, self.position_ms)
