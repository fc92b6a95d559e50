"""What a vendor gives of an answer's sentences, put together to one utterance."""

from collections import deque

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    LLMAssistantPushAggregationFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.text.base_text_aggregator import TextType

from bot.chains.frames import PieceCutFrame
from bot.chains.language import LanguageSwitchFrame
from bot.chains.pieces import Pace, Piece
from bot.chains.speech_queue import SpeechQueue
from bot.chains.voice import Voice

#: A word of which less than this has come was not said.
VOICED_MS = 40.0


class UtteranceMaker:
    """Replaces the frames that a vendor puts around each sentence by those of one utterance.

    Waits for nothing and knows no vendor: frames go in, and come out of :attr:`out` in order.

    Args:
        queue: What is to be spoken.

    Attributes:
        out: Frames that are ready to go on.
        voice: The utterance that is open.
        pace: How fast the vendor in use speaks.
    """

    def __init__(self, queue: SpeechQueue) -> None:
        self.out: deque[Frame] = deque()
        self.voice = Voice()
        self.pace = Pace()
        self._queue = queue
        self._last_word_ns = 0
        self._early_words: list[TTSTextFrame] = []
        #: Words whose audio has not come yet, with their place in their sentence in ms.
        self._unvoiced: deque[tuple[float, TTSTextFrame]] = deque()

    def audio(self, piece: Piece, frame: OutputAudioRawFrame, clock_ns: int, now: float) -> bool:
        """Audio of a sentence has come.

        Args:
            piece: The sentence.
            frame: The audio.
            clock_ns: The pipeline's clock.
            now: The loop's time, in seconds.

        Returns:
            Whether the caller has just heard the utterance's first gap.
        """
        if piece.first_audio_ns is None:
            # Pipecat times the words of a request from its first audio, or from the last word
            # before where that is later (``WordTimestampTracker.start``).
            piece.first_audio_ns = max(clock_ns, self._last_word_ns)
            self._announce(piece, now)
        early, self._early_words = self._early_words, []
        frame_ms = frame.num_frames / frame.sample_rate * 1000
        piece.audio_ms += frame_ms
        if hasattr(frame, "context_id"):
            frame.context_id = piece.group
        gaps = self.voice.underruns
        self.out.extend(self.voice.audio(frame, frame_ms, now))
        for words in early:
            self.words(piece, words)
        self._release_words(piece)
        return not gaps and self.voice.underruns > 0

    def words(self, piece: Piece, frame: TTSTextFrame) -> None:
        """Words with times are passed on with their place in the utterance, others dropped.

        A sentence without word times is passed on when it is complete.
        """
        if not frame.pts:
            return
        if piece.first_audio_ns is None:
            # Words that a vendor tells before its audio come just before that audio.
            self._early_words.append(frame)
            return
        self._last_word_ns = frame.pts
        offset_ns = frame.pts - piece.first_audio_ns
        frame.pts = max(1, offset_ns + int(self.voice.piece_offset_ms * 1e6))
        frame.context_id = piece.group
        frame.segment_id = piece.segment_id
        self._unvoiced.append((offset_ns / 1e6, frame))
        self._release_words(piece)

    def _release_words(self, piece: Piece, *, all_of_them: bool = False) -> None:
        """Words are passed on once their audio has come: what was not voiced was not said."""
        voiced_ms = piece.audio_ms - VOICED_MS
        while self._unvoiced and (all_of_them or self._unvoiced[0][0] < voiced_ms):
            _, frame = self._unvoiced.popleft()
            piece.spoken_words += frame.text.split()
            self.out.extend([*self.voice.release(), frame])

    def finish(self, piece: Piece) -> None:
        """All of a sentence has come."""
        piece.done = True
        self._release_words(piece, all_of_them=True)
        self.out.extend(self.voice.release())
        if piece.audio_ms:
            if not piece.spoken_words:
                self.out.append(_text_of(piece, piece.text))
            self.pace.learn(piece.text, piece.audio_ms / 1000)

    def take_back(self) -> bool:
        """Make every sentence that is under way one that is still to be spoken, in part.

        Returns:
            Whether any of it had been spoken.
        """
        had_spoken = False
        for piece in self._queue.pieces():
            if not piece.sent or piece.done:
                continue
            spoken, rest = piece.split(self.pace)
            if spoken:
                had_spoken = True
                self._cut(piece, spoken, rest)
            piece.take_back()
        self._early_words.clear()
        self._unvoiced.clear()
        self.voice.excuse()
        return had_spoken

    def advance(self) -> Piece | Frame | None:
        """Take the next item off the queue if it is ready, and have it follow what was spoken.

        Returns:
            The item; None where there is none, or it is still being spoken.
        """
        head = self._queue.head
        if head is None or (isinstance(head, Piece) and not head.done):
            return None
        if isinstance(head, Piece):
            if head.alone:
                self.close()
                if head.commit:
                    self.out.append(LLMAssistantPushAggregationFrame())
        else:
            if isinstance(head, (LLMFullResponseEndFrame, LanguageSwitchFrame)):
                self.close()
            self.out.append(head)
        self._queue.pop()
        return head

    def close(self, unless: str | None = None) -> None:
        """The utterance is complete, unless it is the one of that name."""
        group = self.voice.group
        if group is None or group == unless:
            return
        self.out.extend(self.voice.release())
        self.out.append(TTSStoppedFrame(context_id=group))
        self.voice = Voice()

    def interrupt(self) -> None:
        """Nothing of it will be heard."""
        self.out = deque(frame for frame in self.out if isinstance(frame, LanguageSwitchFrame))
        self.voice = Voice()
        self._early_words.clear()
        self._unvoiced.clear()
        self.another_voice()

    def another_voice(self) -> None:
        """Another vendor, or another connection, speaks from now on."""
        self._last_word_ns = 0

    def _announce(self, piece: Piece, now: float) -> None:
        """The first audio of a sentence: what will be heard is told, and the utterance begins."""
        announcement = AggregatedTextFrame(piece.text, TextType.SENTENCE, raw_text=piece.text)
        announcement.append_to_context = False
        announcement.will_be_spoken = True
        announcement.context_id = piece.group
        piece.segment_id = announcement.id
        self.close(unless=piece.group)
        self.out.append(announcement)
        if self.voice.group is None:
            started = TTSStartedFrame(context_id=piece.group)
            started.append_to_context = piece.in_context
            self.out.append(started)
            self.voice.begin(piece.group, now)
        self.voice.piece_begins(now)

    def _cut(self, piece: Piece, spoken: str, rest: str) -> None:
        self.out.extend(self.voice.release())
        if piece.segment_id is not None and rest:
            self.out.append(PieceCutFrame(piece.segment_id, spoken))
        if not piece.spoken_words:
            self.out.append(_text_of(piece, spoken))
        piece.text = rest
        piece.done = not any(char.isalnum() for char in rest)


def _text_of(piece: Piece, text: str) -> TTSTextFrame:
    frame = TTSTextFrame(text, text_type=TextType.SENTENCE, segment_id=piece.segment_id)
    frame.will_be_spoken = True
    frame.context_id = piece.group
    frame.append_to_context = piece.in_context
    return frame
