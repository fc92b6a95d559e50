"""Speech-to-text that goes on hearing when a vendor fails.

The caller's audio of the last seconds is kept, and it is followed which of their speech has come
back as text. When a vendor fails, the next one hears again what has none yet; turn-taking waits
for it. See ``docs/operations.md``, "When speech-to-text fails".
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from bot.chains.audio_ring import MAX_SECONDS
from bot.chains.caller_speech import CallerSpeech
from bot.chains.chain import Chain, OnExhausted, Vendors
from bot.chains.failures import Failure
from bot.chains.floods import HeardAllowance
from bot.chains.frames import FOR_RECOGNISERS, HearingBehindFrame, HearingCaughtUpFrame
from bot.chains.member import Member
from bot.chains.succession import Succession
from bot.chains.text_wait import TextWait
from bot.reporter import CallReporter
from config.agent_stages import SttDeadlines
from services.candidates import Candidate
from services.offline.frames import UnrecognizedSpeechFrame

REMEMBERED_FRAMES: Final = 128
KEPT: Final = f"of which the last {MAX_SECONDS:g} s are kept"
#: What the caller does before the call's pipeline runs, besides speaking.
MAX_EARLY_FRAMES: Final = 128


class SttChain(Chain):
    """Hears the caller, whoever serves. The call never waits for a vendor to be ready.

    Args:
        vendors: Who may serve.
        language: Our code of the language to begin with.
        reporter: Told of every failure.
        on_exhausted: Awaited when nobody is left to hear the caller.
        deadlines: How long a vendor may take.
        rate_hz: Of the caller's 16-bit mono audio, which stops here.
        on_unheard: Awaited when the caller spoke, and two connections gave no text of it.
    """

    def __init__(
        self,
        vendors: Vendors,
        *,
        language: str,
        reporter: CallReporter,
        on_exhausted: OnExhausted,
        deadlines: SttDeadlines,
        rate_hz: int,
        on_unheard: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(vendors, language=language, reporter=reporter, on_exhausted=on_exhausted)
        self._deadlines = deadlines
        self._on_unheard = on_unheard
        self._speech = CallerSpeech(rate_hz)
        self._wait = TextWait(deadlines.result_seconds, lambda: self.spawn(self._time_is_up()))
        self._succession = Succession(
            self,
            deadlines.connect_seconds,
            take_over=self._take_over,
            quiet=lambda: not self._speech.open,
            on_nobody=self._nobody,
        )
        self._given: deque[int] = deque(maxlen=REMEMBERED_FRAMES)
        self._early: deque[tuple[Frame, FrameDirection]] | None = deque(maxlen=MAX_EARLY_FRAMES)
        self._behind = False
        self._suspect: Candidate | None = None
        self._asked_again = False
        self._turning_to: str | None = None
        self._allowance = HeardAllowance()

    @property
    def in_use(self) -> Member | None:
        """See :class:`Chain`."""
        return self._succession.member

    async def switch(self, language: str) -> None:
        """Hear the caller in another language, from the end of what they are just saying."""
        self._turning_to = language
        self._turn_if_quiet()

    def _turn_if_quiet(self) -> None:
        language = self._turning_to
        if language is None or self._speech.open or self._behind:
            return
        self._turning_to, self.language = None, language
        self._suspect = None
        self._speech.forget_repeats()
        self._succession.change_language(self.take_spare(language))

    async def begin(self) -> None:
        """Open a vendor beside the call's beginning, and let on what came before it."""
        early, self._early = self._early or (), None
        for frame, direction in early:
            await self.push_frame(frame, direction)
        self._succession.begin()

    async def _nobody(self) -> None:
        if await self.renewed():
            self._succession.begin()
        else:
            await self.exhausted()

    # -- what the caller does -------------------------------------------------------------------

    async def hear(self, frame: InputAudioRawFrame) -> None:
        """Keep the caller's next audio, and let the vendor in use hear it.

        May be called directly, at any time: a way through the pipeline costs as much again.
        """
        if not self._ended:
            self._speech.add(frame.audio)
            member = self._succession.member
            if member is not None:
                await member.hear(frame)

    async def handle(self, frame: Frame, direction: FrameDirection) -> None:
        """Let all but audio by, and the service know of it."""
        if isinstance(frame, InputAudioRawFrame) and direction is FrameDirection.DOWNSTREAM:
            await self.hear(frame)
            return
        if isinstance(frame, VADUserStartedSpeakingFrame):
            await self._speech_started(frame)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._speech_stopped(frame)
        if self._early is not None:
            self._early.append((frame, direction))
            return
        member = self._succession.member
        if member is not None and isinstance(frame, FOR_RECOGNISERS):
            await self._give(member, frame, direction)
        await self.push_frame(frame, direction)

    async def _give(
        self, member: Member, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Let a service know; what it passes on of that is not delivered again."""
        self._given.append(frame.id)
        await member.send(frame, direction)

    async def _speech_started(self, frame: VADUserStartedSpeakingFrame) -> None:
        self._wait.stop()
        if not self._speech.started(frame):
            self.reporter.dropped("speech", "stt", "the oldest speech without a text is given up")
        if self._succession.member is None:
            await self._fall_behind()

    async def _speech_stopped(self, frame: VADUserStoppedSpeakingFrame) -> None:
        self._speech.stopped(frame)
        if self._speech.open:
            self._expect_text()
        else:
            await self._all_heard(at_once=False)

    # -- what the vendors do --------------------------------------------------------------------

    async def delivered(self, member: Member, frame: Frame, direction: FrameDirection) -> None:
        """Take what the vendor in use says; what it was only given, or another says, is dropped."""
        if isinstance(frame, STTMetadataFrame):
            if direction is FrameDirection.DOWNSTREAM:
                self._wait.learn(member, frame)
                if member is self._succession.member:
                    await self.push_frame(frame)
        elif member is not self._succession.member or isinstance(frame, InputAudioRawFrame):
            return
        elif (excess := self._allowance.too_much(frame, self._now())) is not None:
            await self._fail(member, Failure("flood", excess))
        elif isinstance(frame, TranscriptionFrame):
            await self._take_text(member, frame)
        elif isinstance(frame, UnrecognizedSpeechFrame):
            if frame.answered or not self._speech.owes_text:
                self._suspect = None
                self._succession.proven()
                await self._nothing_understood(frame)
        elif frame.id not in self._given:
            if isinstance(frame, InterimTranscriptionFrame):
                self._succession.proven()
                self._speech.interim()
            await self.push_frame(frame, direction)

    async def failed(self, member: Member, failure: Failure) -> None:
        """Replace the vendor; one that only stood by is forgotten."""
        if member is self._succession.member:
            await self._replace(failure)
        else:
            self._succession.forget(member)

    def retire(self, member: Member) -> None:
        """Let a member go."""
        self._wait.forget(member)
        super().retire(member)

    async def _take_text(self, member: Member, frame: TranscriptionFrame) -> None:
        self._succession.proven()
        self._note_suspect()
        self.lineup.succeeded(member.candidate)
        self._speech.take_text(frame)
        if frame.text:
            # Where an interim right before it begins the turn, the interruption that comes with
            # that would drop it from the aggregator's queue (Pipecat 1.14), and nobody answered.
            frame.interruptible = False
            await self.push_frame(frame)
        if self._speech.open:
            self._expect_text()
        else:
            await self._all_heard(at_once=frame.finalized)

    async def _nothing_understood(self, frame: UnrecognizedSpeechFrame) -> None:
        """Speech that has no text is over and done with."""
        self._speech.dismiss()
        await self.push_frame(frame)
        if not self._speech.open:
            await self._all_heard(at_once=True)

    async def _all_heard(self, *, at_once: bool) -> None:
        """Nothing that the caller said is without its text."""
        self._wait.stop()
        self._asked_again = False
        if not self._behind:
            self._between_utterances()
        elif at_once:
            await self._catch_up()
        else:
            self._wait.expect_more(self._succession.member)

    async def _fall_behind(self) -> None:
        if not self._behind:
            self._behind = True
            if self._early is not None:
                self._early.append((HearingBehindFrame(), FrameDirection.DOWNSTREAM))
            else:
                await self.push_frame(HearingBehindFrame())

    async def _catch_up(self) -> None:
        self._behind = False
        self._speech.forget_repeats()
        await self.push_frame(HearingCaughtUpFrame())
        self._between_utterances()

    def _between_utterances(self) -> None:
        if self._turning_to is not None:
            self._turn_if_quiet()
        elif not self._speech.open:
            self._succession.pause()

    # -- texts that do not come -----------------------------------------------------------------

    def _expect_text(self) -> None:
        """The caller is silent, and the vendor has to say what it heard."""
        member = self._succession.member
        if member is not None and self._speech.open and not self._speech.speaking:
            self._wait.expect(member)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _time_is_up(self) -> None:
        member, speech = self._succession.member, self._speech
        if member is None or speech.speaking:
            return
        if speech.open and speech.owes_text and not self._asked_again:
            self._asked_again = True
            self._suspect = member.candidate
            seconds = self._deadlines.result_seconds
            logger.info(f"stt {member.candidate.provider} gave no text within {seconds:g} s")
            self.retire(member)
            await self._replace(Failure("no_result", f"no text within {seconds:g} s"))
        elif speech.open and (self._asked_again or self._behind):
            twice = self._asked_again
            if twice:
                self.reporter.degraded("stt", "no_result", "nobody understood the caller", None)
            self._suspect = None
            await self._nothing_understood(UnrecognizedSpeechFrame())
            if twice and self._on_unheard is not None:
                await self._on_unheard()
        else:
            speech.dismiss()
            await self._all_heard(at_once=True)

    def _note_suspect(self) -> None:
        """Another ear has heard the caller: who had not, has failed."""
        suspect, self._suspect = self._suspect, None
        if suspect is not None:
            self.note(suspect, Failure("no_result", "another connection heard what it had not"))

    # -- one vendor for another -----------------------------------------------------------------

    async def _replace(self, failure: Failure) -> None:
        """The vendor in use is of no more use."""
        self._wait.stop()
        self._succession.lost(failure, owing=self._speech.open)
        if self._speech.open:
            await self._fall_behind()

    async def _take_over(self, member: Member) -> bool:
        """Have a member hear what has no text yet, and all that follows.

        Returns:
            Whether it is still there.
        """
        replay = self._speech.replay()
        if replay.lost_seconds:
            detail = f"nobody had heard {replay.lost_seconds:.1f} s of what the caller said, {KEPT}"
            self.reporter.degraded("stt", "audio_lost", detail, member.candidate.provider)
        for frame in replay.frames:
            if isinstance(frame, InputAudioRawFrame):
                await member.send(frame)
            else:
                await self._give(member, frame)
        if not member.open:
            return False
        self._succession.seat(member)
        self._allowance = HeardAllowance()
        self._speech.follow(replay)
        self.serves(member.candidate)
        if (metadata := self._wait.said_by(member)) is not None:
            await self.push_frame(metadata)
        if self._behind and not self._speech.open:
            # All had been heard, and the wait for a later text went with who served before.
            self._wait.expect_more(self._succession.member)
        else:
            self._expect_text()
        return True

    def let_go(self) -> None:
        """See :meth:`Chain.let_go`; no text is awaited any more."""
        self._wait.stop()
        super().let_go()

    async def _end(self) -> None:
        self._wait.stop()
        await super()._end()
