"""Text-to-speech that goes on speaking when a vendor fails.

Every sentence is a request of its own to the vendor in use, so that it is known of each
whether it was spoken; not more than two are under way. What the members deliver is put together
again to one utterance for each answer. When a vendor fails, what it has not spoken is given
to the next one: sentences whole, the one under way from the word that it had reached.
"""

import asyncio
from collections.abc import Callable
from itertools import islice

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    SystemFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from bot.chains.backlog import Backlog
from bot.chains.casting import Casting
from bot.chains.chain import Chain, OnExhausted, Vendors
from bot.chains.failures import Failure
from bot.chains.language import LanguageSwitchFrame
from bot.chains.member import Member
from bot.chains.patience import Patience
from bot.chains.pieces import NEARLY_ALL, Pace, Piece
from bot.chains.speech_queue import SpeechQueue
from bot.chains.utterance import UtteranceMaker
from bot.chains.voice import SLOW_SECONDS
from bot.reporter import CallReporter
from config.agent_stages import TtsDeadlines
from services.candidates import Candidate

#: Sentences that a vendor has at a time: the one it speaks and the next.
UNDER_WAY = 2


class TtsChain(Chain):
    """Speaks an answer sentence by sentence, whoever serves.

    Args:
        vendors: Who may serve.
        language: Our code of the language to begin with.
        reporter: Told of every failure.
        on_exhausted: Awaited when an answer cannot be spoken.
        deadlines: How long a vendor may take.
        ahead_ms: How much audio waits to be heard.
    """

    def __init__(
        self,
        vendors: Vendors,
        *,
        language: str,
        reporter: CallReporter,
        on_exhausted: OnExhausted,
        deadlines: TtsDeadlines,
        ahead_ms: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__(vendors, language=language, reporter=reporter, on_exhausted=on_exhausted)
        self._deadlines = deadlines
        self._backlog = Backlog(ahead_ms, self._feed_soon)
        self._queue = SpeechQueue()
        self._maker = UtteranceMaker(self._queue)
        self._patience = Patience(deadlines.audio_seconds, self._time_is_up)
        self._pumping = False
        self._casting = Casting(
            self,
            deadlines.connect_seconds,
            on_seated=self._seated,
            feed=self._feed,
            quiet=self._quiet,
            on_nobody=self._nobody,
        )
        #: Is to go, because it gives without end.
        self._flooding: Member | None = None

    @property
    def in_use(self) -> Member | None:
        """See :class:`Chain`."""
        return self._casting.member

    async def begin(self) -> None:
        """Open the preferred vendor, beside the rest of the call's beginning."""
        self._casting.need()

    def let_go(self) -> None:
        """See :meth:`Chain.let_go`; no sound is awaited any more."""
        self._patience.stop()
        self._backlog.stop()
        super().let_go()

    async def handle(self, frame: Frame, direction: FrameDirection) -> None:
        """Queue what is to be spoken and what must follow it; all else passes."""
        if isinstance(frame, InterruptionFrame):
            await self._interrupt()
            await self.push_frame(frame, direction)
            await self._pump()
        elif direction is FrameDirection.UPSTREAM or isinstance(frame, SystemFrame):
            await self.push_frame(frame, direction)
        else:
            if isinstance(frame, LLMFullResponseStartFrame):
                self._casting.recover()
            if not self._queue.take(frame):
                detail = "more is to be said than anybody waits for"
                self.reporter.dropped("sentences", "tts", detail)
            await self._pump()
            await self._feed()

    # -- what is to be spoken -----------------------------------------------------------------

    async def _feed(self) -> None:
        """Give the vendor its next sentences, if it is there."""
        member = self._casting.member
        if member is None or not member.open:
            if self._queue.first is not None:
                self._casting.need()
            return
        for index, piece in enumerate(list(islice(self._queue.in_present_language(), UNDER_WAY))):
            if not piece.sent:
                if self._backlog.too_much():
                    return
                piece.sent = True
                if index == 0:
                    # It had nothing to say until now, which is no fault of its own.
                    self._maker.voice.excuse()
                    self._patience.progress()
                await member.send(TTSSpeakFrame(piece.text, append_to_context=piece.in_context))

    def _feed_soon(self) -> None:
        if not self._ended:
            self.spawn(self._feed())

    async def _interrupt(self) -> None:
        """The caller spoke over it: nothing that may be cut is spoken any more."""
        self._queue.interrupt()
        self._maker.interrupt()
        self._patience.stop()
        if self._casting.member is not None:
            await self._casting.member.send(InterruptionFrame())

    # -- what has been spoken -----------------------------------------------------------------

    async def delivered(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        """Take a member's audio and words; its own frames around them are replaced."""
        if isinstance(frame, InterruptionFrame):
            return  # The chain's own, passed through.
        if direction is FrameDirection.UPSTREAM or isinstance(frame, SystemFrame):
            await self.push_frame(frame, direction)
        elif member is self._casting.member:
            self._take(member, frame)
        await self._pump()
        await self._feed()

    def _take(self, member: Member, frame: Frame) -> None:
        match frame:
            case TTSTextFrame():
                if (piece := self._queue.under_way(frame.context_id)) is not None:
                    self._take_words(member, piece, frame)
            case AggregatedTextFrame():
                self._queue.begins(frame.context_id)
            case OutputAudioRawFrame():
                self._take_audio(member, frame)
            case TTSStoppedFrame():
                self._stopped(member, frame.context_id)
            case TTSStartedFrame() | LLMAssistantPushAggregationFrame():
                pass
            case _:
                self._maker.out.append(frame)

    def _take_words(self, member: Member, piece: Piece, frame: TTSTextFrame) -> None:
        piece.words_told += len(frame.text.split())
        if piece.words_told > piece.most_words:
            self._flood(member, "more words than the sentence has")
        else:
            self._maker.words(piece, frame)

    def _flood(self, member: Member, detail: str) -> None:
        """The vendor gives without end; what comes until it is gone is dropped."""
        if member is not self._flooding:
            self._flooding = member
            self.spawn(self._fail(member, Failure("flood", detail)))

    def _take_audio(self, member: Member, frame: OutputAudioRawFrame) -> None:
        piece = self._queue.under_way(getattr(frame, "context_id", None))
        if piece is None or not frame.audio:
            return
        self._patience.progress()
        if member is self._flooding or piece.audio_ms > piece.longest_ms:
            self._flood(member, f"over {piece.longest_ms / 1000:.0f} s of sound for a sentence")
            return
        if self._maker.audio(piece, frame, self.get_clock().get_time(), self._now()):
            detail = "audio came more slowly than it is heard"
            self.reporter.degraded("tts", "underrun", detail, self.provider)
        self._check_pace(piece)

    def _stopped(self, member: Member, context_id: str | None) -> None:
        """The vendor says that a sentence is complete; one without a sound is none."""
        piece = self._queue.under_way(context_id)
        if piece is None:
            return
        if piece.audio_ms:
            self._finish(piece)
        else:
            detail = "a sentence came back without audio"
            self.spawn(self._fail(member, Failure("no_result", detail)))

    def _finish(self, piece: Piece) -> None:
        """All of a sentence has come."""
        self._maker.finish(piece)
        self._casting.proven()
        self._patience.progress()

    # -- the way out --------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Push what is ready, in order; whoever comes while it runs leaves the work to it."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._maker.out or self._advance():
                while self._maker.out:
                    await self.push_frame(self._maker.out.popleft())
        finally:
            self._pumping = False
        await self._casting.change_over()

    def _advance(self) -> bool:
        """Take the next item off the queue if it is ready."""
        item = self._maker.advance()
        if isinstance(item, LanguageSwitchFrame):
            # All that was to be spoken in the old language has been.
            self.language = item.language
            self._maker.pace = Pace()
            self._casting.change_language(self.take_spare(item.language))
        if item is None and self._queue.head is None:
            self._patience.stop()
        return item is not None

    # -- who speaks ---------------------------------------------------------------------------

    def _seated(self, candidate: Candidate) -> None:
        self._maker.another_voice()
        self.serves(candidate)

    def _quiet(self) -> bool:
        """Whether no answer is being spoken."""
        return self._maker.voice.group is None and self._queue.first is None

    async def failed(self, member: Member, failure: Failure) -> None:
        """The vendor in use failed: what it has not spoken is for the next."""
        if not self._casting.lost(member):
            return
        idle = not any(piece.sent for piece in self._queue.pieces())
        had_spoken = self._maker.take_back()
        await self._pump()
        wanted = self._queue.first is not None
        self._casting.replace(
            member.candidate, failure, idle=idle, had_spoken=had_spoken, wanted=wanted
        )

    async def _nobody(self) -> None:
        """Nobody speaks: the answer is dropped, but for what must follow it."""
        if await self.renewed():
            await self._casting.search()
        elif self._queue.first is not None or self.lineup.hopeless:
            self._queue.give_up()
            self._maker.close()
            await self._pump()
            await self.exhausted()

    # -- time ---------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _time_is_up(self) -> None:
        head, member = self._queue.first, self._casting.member
        if head is not None and head.sent and member is not None and not self._ended:
            self.spawn(self._stalled(member, head))

    async def _stalled(self, member: Member, piece: Piece) -> None:
        """No audio for too long."""
        if piece.audio_ms and piece.spoken_part(self._maker.pace) >= NEARLY_ALL:
            # It has spoken all and forgot to say so.
            self._finish(piece)
            await self._pump()
            await self._feed()
            return
        seconds = self._deadlines.audio_seconds
        detail = f"no audio for {seconds:g} s"
        await self._fail(member, Failure("stalled" if piece.audio_ms else "no_result", detail))

    def _check_pace(self, piece: Piece) -> None:
        """Leave a vendor that is slower than it is heard, if somebody else is there."""
        member = self._casting.member
        if member is None or not self._maker.voice.too_slow(self._now()) or piece.done:
            return
        if self._casting.has_other(member.candidate):
            self._maker.voice.piece_begins(self._now())
            detail = f"slower than real time for {SLOW_SECONDS:g} s"
            self.spawn(self._fail(member, Failure("slow", detail)))
