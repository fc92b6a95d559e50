"""One live transcription: audio in, messages out, timed by the audio itself."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulators.deepgram import messages
from simulators.deepgram.messages import Messages
from simulators.deepgram.query import ListenQuery
from simulators.deepgram.script import Utterance
from simulators.energy import BYTES_PER_SAMPLE, Endpointer, SpeechEnded, SpeechStarted

#: An unspoken stretch is closed by an empty final after so long.
_EMPTY_FINAL_MS = 5000.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How the recogniser listens.

    Attributes:
        interim_ms: Time between interim results.
        shortest_pause_ms: Quiet that ends an utterance whatever lower ``endpointing`` is asked
            for, so that the script isn't used up within a sentence.
        threshold: Mean sample size above which sound is speech.
        late_speech_started: ``SpeechStarted`` comes after the first interim.
        utterance_ends: How often each ``UtteranceEnd`` is sent.
    """

    interim_ms: float = 200.0
    shortest_pause_ms: float = 150.0
    threshold: float = 300.0
    late_speech_started: bool = False
    utterance_ends: int = 1


class ListenStream:
    """Turns audio into transcription messages; no I/O.

    Args:
        query: What the client asked for.
        say: Sends a message; the second argument is a delay in milliseconds.
        recognise: The scripted utterance for speech from/to these milliseconds of the
            stream; the third argument tells whether it is over.
    """

    def __init__(
        self,
        *,
        query: ListenQuery,
        made: Messages,
        timing: Timing,
        say: Callable[[str, float], None],
        recognise: Callable[[float, float, bool], Utterance],
    ) -> None:
        self._query = query
        self._made = made
        self._timing = timing
        self._say = say
        self._recognise = recognise
        silence_ms = math.inf
        if query.endpointing_ms is not None:
            silence_ms = max(query.endpointing_ms, timing.shortest_pause_ms)
        self._ear = Endpointer(
            rate_hz=query.sample_rate_hz,
            encoding=query.encoding,
            silence_ms=silence_ms,
            threshold=timing.threshold,
        )
        self._segment_ms = 0.0
        self._next_look_ms = _EMPTY_FINAL_MS
        self._interims = 0
        self._last_word_end_ms: float | None = None

    @property
    def position_ms(self) -> float:
        """How much audio was heard."""
        return self._ear.position_ms

    @property
    def bytes_per_sample(self) -> int:
        """Size of a sample in the client's encoding."""
        return BYTES_PER_SAMPLE[self._query.encoding]

    def hear(self, audio: bytes) -> None:
        """Take in some audio."""
        for event in self._ear.feed(audio):
            if isinstance(event, SpeechStarted):
                self._started(event)
            else:
                self._ended(event)
        if self._ear.position_ms >= self._next_look_ms:
            self._look()

    def finalize(self) -> None:
        """Answer ``Finalize``: what was said so far is final now."""
        for event in self._ear.finish():
            if isinstance(event, SpeechEnded):
                self._ended(event, from_finalize=True)
                return
        self._final("", Utterance(""), self._ear.position_ms, from_finalize=True)

    def finish(self) -> None:
        """Answer ``CloseStream``: what was said so far, then nothing more."""
        for event in self._ear.finish():
            if isinstance(event, SpeechEnded):
                self._ended(event)

    def _started(self, event: SpeechStarted) -> None:
        self._interims = 0
        self._last_word_end_ms = None
        self._next_look_ms = event.at_ms + self._timing.interim_ms
        if self._query.vad_events and not self._timing.late_speech_started:
            self._say(messages.speech_started(event.at_ms), 0.0)

    def _look(self) -> None:
        """What is due by the stream's own clock."""
        if self._ear.speaking:
            self._next_look_ms = self._ear.position_ms + self._timing.interim_ms
            self._interim()
        elif self._utterance_end_due():
            self._utterance_end()
        else:
            self._final("", Utterance(""), self._ear.position_ms)

    def _interim(self) -> None:
        if not self._query.interim_results:
            return
        start_ms, now_ms = self._ear.started_ms, self._ear.position_ms
        utterance = self._recognise(start_ms, now_ms, False)
        text = utterance.interim(now_ms - start_ms, self._interims)
        self._interims += 1
        if text:
            self._say(
                self._made.results(
                    text,
                    utterance,
                    start_ms=self._segment_ms,
                    end_ms=now_ms,
                    words_from_ms=start_ms,
                    is_final=False,
                    speech_final=False,
                ),
                0.0,
            )
        if self._interims == 1 and self._query.vad_events and self._timing.late_speech_started:
            self._say(messages.speech_started(start_ms), 0.0)

    def _ended(self, event: SpeechEnded, *, from_finalize: bool = False) -> None:
        utterance = self._recognise(event.start_ms, event.end_ms, True)
        finals = utterance.finals()
        for text, start_ms, end_ms in self._spread(finals, event):
            is_last = end_ms >= event.at_ms
            self._final(
                text,
                utterance,
                end_ms,
                words_from_ms=start_ms,
                speech_final=is_last,
                from_finalize=from_finalize and is_last,
            )
        if utterance.text or utterance.parts:
            self._last_word_end_ms = event.end_ms
        if self._utterance_end_due() and self._query.utterance_end_ms is not None:
            self._next_look_ms = event.end_ms + self._query.utterance_end_ms

    @staticmethod
    def _spread(finals: Sequence[str], event: SpeechEnded) -> list[tuple[str, float, float]]:
        """Each final with the stretch that it is about; the last ends where the stream is."""
        step = (event.end_ms - event.start_ms) / len(finals)
        ends = [event.start_ms + step * number for number in range(1, len(finals))]
        starts = [event.start_ms, *ends]
        return list(zip(finals, starts, [*ends, event.at_ms], strict=True))

    def _final(
        self,
        text: str,
        utterance: Utterance,
        end_ms: float,
        *,
        words_from_ms: float = 0.0,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> None:
        result = self._made.results(
            text,
            utterance,
            start_ms=self._segment_ms,
            end_ms=end_ms,
            words_from_ms=words_from_ms,
            is_final=True,
            speech_final=speech_final,
            from_finalize=from_finalize,
        )
        self._segment_ms = end_ms
        self._next_look_ms = end_ms + _EMPTY_FINAL_MS
        self._say(result, utterance.delay_ms)

    def _utterance_end_due(self) -> bool:
        return self._query.utterance_end_ms is not None and self._last_word_end_ms is not None

    def _utterance_end(self) -> None:
        for _ in range(self._timing.utterance_ends):
            self._say(messages.utterance_end(self._last_word_end_ms or 0.0), 0.0)
        self._last_word_end_ms = None
        self._next_look_ms = self._segment_ms + _EMPTY_FINAL_MS
