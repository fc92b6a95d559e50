"""Text-to-speech that goes on speaking when a vendor fails.

Every sentence is a request of its own to the vendor in use, so that it is known of each
whether it was spoken; not more than two are under way. What the members deliver is put together
again to one utterance for each answer. When a vendor fails, what it has not spoken is given
to the next one: sentences whole, the one under way from the word that it had reached.
"""

import asyncio
import uuid
from collections.abc import Callable
from itertools import islice

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    SystemFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from bot.chains.chain import Chain, OnExhausted, Vendors
from bot.chains.failures import Failure, MemberFailed
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
#: With so much to be heard, no further sentence is asked for: an answer of twenty minutes would
#: else be in memory whole, and paid for, when the caller cuts it off in the first.
MAX_AHEAD_MS = 20_000.0
#: How soon and how late it is looked at again; a line that is paused hears nothing meanwhile.
LEAST_WAIT_MS = 100.0
MOST_WAIT_MS = 1000.0
#: A vendor that has just spoken and hung up gets this long to be there again.
REOPEN_SECONDS = 1.0
#: Failures after which the same vendor, connected anew, may well go on.
_MENDABLE = frozenset({"dropped", "error"})
#: The same where nobody else is left.
_MENDABLE_ALONE = frozenset({"server", "flood"})


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
        self._ahead_ms = ahead_ms
        self._later: asyncio.TimerHandle | None = None
        self._queue = SpeechQueue()
        self._maker = UtteranceMaker(self._queue)
        self._patience = Patience(deadlines.audio_seconds, self._time_is_up)
        self._pumping = False
        self._member: Member | None = None
        #: A better one that waits for the end of the answer.
        self._better: Member | None = None
        self._opening: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._tried: set[Candidate] = set()
        self._reopened = False
        #: Is to go, because it gives without end.
        self._flooding: Member | None = None
        self._answer: str | None = None
        self._given_up: str | None = None

    @property
    def in_use(self) -> Member | None:
        """See :class:`Chain`."""
        return self._member

    async def begin(self) -> None:
        """Open the preferred vendor, beside the rest of the call's beginning."""
        self._need_member()

    async def handle(self, frame: Frame, direction: FrameDirection) -> None:
        """Queue what is to be spoken and what must follow it; all else passes."""
        if isinstance(frame, InterruptionFrame):
            await self._interrupt()
            await self.push_frame(frame, direction)
            await self._pump()
        elif direction is FrameDirection.UPSTREAM or isinstance(frame, SystemFrame):
            await self.push_frame(frame, direction)
        else:
            self._enqueue(frame)
            await self._pump()
            await self._feed()

    # -- what is to be spoken -----------------------------------------------------------------

    def _enqueue(self, frame: Frame) -> None:
        if isinstance(frame, AggregatedTextFrame) and not frame.skip_tts:
            group = self._answer or str(uuid.uuid4())
            self._add(Piece(frame.text, group, alone=self._answer is None))
        elif isinstance(frame, TTSSpeakFrame):
            remembered = bool(frame.append_to_context)
            commit = remembered and self._answer is None
            group = str(uuid.uuid4())
            self._add(Piece(frame.text, group, in_context=remembered, alone=True, commit=commit))
        else:
            if isinstance(frame, LLMFullResponseStartFrame):
                self._answer = str(uuid.uuid4())
                self._recover()
            elif isinstance(frame, LLMFullResponseEndFrame):
                self._answer = None
            self._queue.add(frame)

    def _add(self, piece: Piece) -> None:
        if piece.group == self._given_up or not any(char.isalnum() for char in piece.text):
            return
        if self._queue.has_room(piece):
            self._queue.add(piece)
        else:
            self.reporter.dropped("sentences", "tts", "more is to be said than anybody waits for")

    async def _feed(self) -> None:
        """Give the vendor its next sentences, if it is there."""
        member = self._member
        if member is None or not member.open:
            if self._queue.first is not None:
                self._need_member()
            return
        for index, piece in enumerate(list(islice(self._queue.in_present_language(), UNDER_WAY))):
            if not piece.sent:
                if (ahead_ms := self._ahead_ms()) > MAX_AHEAD_MS:
                    self._feed_later(ahead_ms - MAX_AHEAD_MS)
                    return
                piece.sent = True
                if index == 0:
                    # It had nothing to say until now, which is no fault of its own.
                    self._maker.voice.excuse()
                    self._patience.progress()
                await member.send(TTSSpeakFrame(piece.text, append_to_context=piece.in_context))

    def _feed_later(self, milliseconds: float) -> None:
        """The caller has much to hear: what follows is asked for when some of that was heard."""
        if self._later is None and not self._ended:
            seconds = min(max(milliseconds, LEAST_WAIT_MS), MOST_WAIT_MS) / 1000
            self._later = asyncio.get_running_loop().call_later(seconds, self._feed_now)

    def _feed_now(self) -> None:
        self._later = None
        if not self._ended:
            self.spawn(self._feed())

    async def _interrupt(self) -> None:
        """The caller spoke over it: nothing that may be cut is spoken any more."""
        self._queue.interrupt()
        self._maker.interrupt()
        self._answer = self._given_up = None
        self._patience.stop()
        if self._member is not None:
            await self._member.send(InterruptionFrame())

    # -- what has been spoken -----------------------------------------------------------------

    async def delivered(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        """Take a member's audio and words; its own frames around them are replaced."""
        if isinstance(frame, InterruptionFrame):
            return  # The chain's own, passed through.
        if direction is FrameDirection.UPSTREAM or isinstance(frame, SystemFrame):
            await self.push_frame(frame, direction)
        elif member is self._member:
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
        if self._member is not None:
            self.lineup.succeeded(self._member.candidate)
        self._tried.clear()
        self._reopened = False
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
        await self._change_over()

    def _advance(self) -> bool:
        """Take the next item off the queue if it is ready."""
        head = self._queue.head
        if head is None:
            self._patience.stop()
            return False
        if isinstance(head, Piece):
            if not head.done:
                return False
            if head.alone:
                self._maker.close()
                if head.commit:
                    self._maker.out.append(LLMAssistantPushAggregationFrame())
        else:
            if isinstance(head, (LLMFullResponseEndFrame, LanguageSwitchFrame)):
                self._maker.close()
            if isinstance(head, LanguageSwitchFrame):
                self._change_language(head.language)
            self._maker.out.append(head)
        self._queue.pop()
        return True

    # -- who speaks ---------------------------------------------------------------------------

    def _need_member(self, again: Candidate | None = None) -> None:
        if self._opening is None or self._opening.done():
            self._opening = self.spawn(self._open(again))

    async def _open(self, again: Candidate | None) -> None:
        """Find somebody who speaks; the same ``again`` first where that may help."""
        if self._better is not None and self._better.open:
            await self._take_over(self._better)
            return
        if again is not None:
            try:
                await self._take_over(await self.open_member(again, REOPEN_SECONDS))
                return
            except MemberFailed:
                self._tried.add(again)
        while (candidate := self.lineup.pick(self._tried)) is not None:
            try:
                member = await self.open_member(candidate, self._deadlines.connect_seconds)
            except MemberFailed:
                self._tried.add(candidate)
            else:
                await self._take_over(member)
                return
        self._tried.clear()
        if await self.renewed():
            await self._open(None)
        elif self._queue.first is not None or self.lineup.hopeless:
            await self._give_up()

    async def _take_over(self, member: Member) -> None:
        if self._member is not None and self._member is not member:
            self.retire(self._member)
        if self._better is not None and self._better is not member:
            self.retire(self._better)
        self._member = member
        self._better = None
        self._maker.another_voice()
        self._opening = None
        self.serves(member.candidate)
        await self._feed()

    async def failed(self, member: Member, failure: Failure) -> None:
        """The vendor in use failed: what it has not spoken is for the next."""
        if member is self._better:
            self._better = None
        if member is not self._member:
            return
        self._member = None
        idle = not any(piece.sent for piece in self._queue.pieces())
        had_spoken = self._maker.take_back()
        await self._pump()
        same = member.candidate
        alone = not self._has_other(same)
        mendable = (failure.kind in _MENDABLE and (idle or had_spoken or alone)) or (
            alone and (failure.kind in _MENDABLE_ALONE or _was_busy_a_moment(failure))
        )
        if mendable and not self._reopened:
            self._reopened = not idle
            self._need_member(again=same)
        else:
            self._tried.add(same)
            if self._queue.first is not None:
                self._need_member()

    def _has_other(self, candidate: Candidate) -> bool:
        return self.lineup.has_other({*self._tried, candidate})

    async def _give_up(self) -> None:
        """Nobody speaks: the answer is dropped, but for what must follow it."""
        self._given_up = self._answer
        self._queue.drop_speech()
        self._maker.close()
        await self._pump()
        await self.exhausted()

    def _recover(self) -> None:
        """A new answer: somebody better may be fit again. It is opened beside the present one."""
        recovering = self._recovering is not None and not self._recovering.done()
        if self._member is None or self._better is not None or recovering:
            return
        better = self.lineup.better_than(self._member.candidate)
        if better is not None:
            self._recovering = self.spawn(self._return_to(better))

    async def _return_to(self, candidate: Candidate) -> None:
        try:
            member = await self.open_member(candidate, self._deadlines.connect_seconds)
        except MemberFailed:
            return
        self._better = member
        await self._change_over()

    async def _change_over(self) -> None:
        """The better vendor takes over, but not in the middle of an answer."""
        busy = self._maker.voice.group is not None or self._queue.first is not None
        member = self._better
        if member is not None and not busy:
            self._better = None
            await self._take_over(member)

    def _change_language(self, language: str) -> None:
        """All that was to be spoken in the old language has been: another voice goes on."""
        self.language = language
        self._maker.pace = Pace()
        self._tried.clear()
        self._reopened = False
        for job in (self._opening, self._recovering):
            if job is not None and job is not asyncio.current_task():
                job.cancel()
        self._opening = self._recovering = None
        old, spare = self._member, self.take_spare(language)
        for unwanted in (self._better, old if spare or not self._still_fit(old) else None):
            if unwanted is not None:
                self.retire(unwanted)
        self._better = None
        if spare is not None:
            self._member = spare
            self._maker.another_voice()
            self.serves(spare.candidate)
        elif not self._still_fit(old):
            self._member = None

    def _still_fit(self, member: Member | None) -> bool:
        return member is not None and member.candidate in self.lineup

    # -- time ---------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _time_is_up(self) -> None:
        head = self._queue.first
        if head is not None and head.sent and self._member is not None and not self._ended:
            self.spawn(self._stalled(self._member, head))

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
        member = self._member
        if member is None or not self._maker.voice.too_slow(self._now()) or piece.done:
            return
        if self._has_other(member.candidate):
            self._maker.voice.piece_begins(self._now())
            detail = f"slower than real time for {SLOW_SECONDS:g} s"
            self.spawn(self._fail(member, Failure("slow", detail)))


def _was_busy_a_moment(failure: Failure) -> bool:
    """Whether it was overloaded, and did not ask to be left alone for long."""
    return failure.kind == "rate_limit" and failure.retry_after_seconds <= REOPEN_SECONDS
