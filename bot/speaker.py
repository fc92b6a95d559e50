"""The agent's mouth: utterances go in, the playout paces them, and what was heard comes out.

It stands outside the pipeline, so that a greeting is on the line before any vendor has
answered, and knows nothing of Pipecat.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.marks import Mark
from bot.playout import MAX_QUEUED_SECONDS, Playout
from bot.reporter import CallReporter
from bot.speech import Remember, Utterance

OnSpeaking = Callable[[bool], Awaitable[None]]

#: An utterance left open by its synthesiser ends this long after its last audio was heard;
#: longer than Pipecat's own wait for audio (3 s), which ends it in the usual way.
STALL_SECONDS = 4.0
#: An utterance has begun when this much of it was heard, that is once its first packet was sent.
BEGUN_MS = 1.0
NOT_HEARD = f"more was to be said than the {MAX_QUEUED_SECONDS:.0f} s that may wait to be heard"


@dataclass(frozen=True, slots=True)
class Cut:
    """What an interruption cut off.

    Attributes:
        was_speaking: Whether anything was being heard.
        unremembered: The heard words that the conversation does not hold yet.
    """

    was_speaking: bool
    unremembered: str


@dataclass(frozen=True, slots=True)
class _Announced:
    text: str
    context_id: str | None
    segment_id: object


class Speaker:
    """Speaks utterances one after the other.

    Args:
        playout: The call's pacer.
        reporter: Told what was heard.
    """

    def __init__(self, playout: Playout, reporter: CallReporter) -> None:
        self.playout = playout
        self.speaking = False
        self.has_spoken = False
        self.on_speaking: OnSpeaking | None = None
        self._reporter = reporter
        self._current: Utterance | None = None
        self._unreported: deque[Utterance] = deque()
        self._announced: list[_Announced] = []
        self._stall_timer: asyncio.TimerHandle | None = None
        self._last_sound_at = 0.0

    @property
    def open(self) -> bool:
        """Whether an utterance has begun and not been ended."""
        return self._current is not None

    def begin(
        self,
        provider: str,
        *,
        context_id: str | None = None,
        in_context: bool = True,
        remember: Remember | None = None,
        is_answer: bool = True,
    ) -> None:
        """An utterance begins; one of the same context that is still open goes on instead.

        Args:
            provider: Who synthesises it.
            context_id: The synthesiser's name for it.
            in_context: Whether the pipeline adds its words to the conversation.
            remember: Given the words heard, where the pipeline does not know them.
            is_answer: Whether the turn's waiting ends with it.
        """
        if self._current is not None:
            if self._current.context_id == context_id:
                return
            self.end()
        turn = self._reporter.turn
        utterance = Utterance(provider, turn, context_id, in_context, remember, is_answer)
        self._current = utterance
        self._unreported.append(utterance)
        for announced in self._announced:
            # What was announced for another context was never spoken.
            if announced.context_id == context_id:
                position_ms = self.playout.queued_ms
                utterance.begin_piece(announced.text, position_ms, announced.segment_id)
        self._announced.clear()
        self._watch()

    def announce(
        self, text: str, *, context_id: str | None = None, segment_id: object = None
    ) -> None:
        """A sentence will be spoken, in the open utterance or the next one."""
        if self._current is not None and self._current.context_id == context_id:
            self._current.begin_piece(text, self.playout.queued_ms, segment_id)
        else:
            self._announced.append(_Announced(text, context_id, segment_id))

    def amend(self, segment_id: object, text: str) -> None:
        """Only ``text`` of an announced sentence was spoken; the rest will be, in a while."""
        if self._current is not None:
            self._current.amend(segment_id, text)

    def audio(self, payload: bytes) -> None:
        """Wire audio of the open utterance."""
        utterance = self._current
        if utterance is None or not payload:
            return
        if utterance.base_ms is None:
            utterance.base_ms = self.playout.queued_ms
            self.playout.mark(lambda: self._started(utterance), utterance.base_ms + BEGUN_MS)
        if not self.playout.audio(payload):
            self._reporter.dropped("playout", "tts", NOT_HEARD)
            return
        utterance.extend(self.playout.queued_ms)
        self._last_sound_at = asyncio.get_running_loop().time()

    def word(self, text: str, offset_ms: float, then: Mark, *, segment_id: object = None) -> None:
        """A word of an announced sentence is heard ``offset_ms`` into the open utterance.

        ``then`` is awaited at that time.
        """
        utterance = self._current
        if utterance is None or utterance.base_ms is None:
            self.playout.mark(then)
            return
        words = utterance.timed_words(segment_id)

        async def heard() -> None:
            words.append(text)
            await then()

        self.playout.mark(heard, utterance.base_ms + max(0.0, offset_ms))

    def sentence(self, segment_id: object, then: Mark) -> None:
        """All audio of an announced sentence was queued; await ``then`` when it was heard."""
        utterance = self._current

        async def heard() -> None:
            if utterance is not None:
                utterance.passed_on(segment_id)
            await then()

        self.playout.mark(heard)

    def end(self, then: Mark | None = None) -> None:
        """The open utterance is complete; await ``then`` when it has been heard."""
        utterance, self._current = self._current, None
        self.playout.flush()
        if utterance is not None:
            self.playout.mark(lambda: self._ended(utterance))
        if then is not None:
            self.playout.mark(then)

    def say(
        self,
        text: str,
        payload: bytes,
        provider: str,
        *,
        then: Mark | None = None,
        remember: Remember | None = None,
        is_answer: bool = True,
    ) -> None:
        """Speak a phrase that is already encoded for the wire, after what is being said.

        Args:
            text: Its words.
            payload: Its audio.
            provider: Who synthesised it.
            then: Awaited when it was heard to its end.
            remember: Given the words heard.
            is_answer: Whether the turn's waiting ends with it.
        """
        if not self.playout.has_room(payload):
            self._reporter.dropped("playout", "tts", NOT_HEARD)
            if then is not None:
                self.playout.mark(then)
            return
        self.end()
        self.begin(provider, in_context=is_answer, remember=remember, is_answer=is_answer)
        self.announce(text)
        self.audio(payload)
        self.end(then)

    async def interrupt(self) -> Cut:
        """Fall silent at once and report what had been heard."""
        was_speaking = self.playout.playing or self.speaking
        if was_speaking:
            self._reporter.interrupted()
        unremembered = await self._fall_silent()
        self._reporter.state("listening")
        await self._set_speaking(False)
        return Cut(was_speaking, unremembered)

    async def hang_up(self) -> None:
        """Fall silent for good: the call is over; report what had been heard until now."""
        self.on_speaking = None
        await self._fall_silent()
        if self._stall_timer is not None:
            self._stall_timer.cancel()

    async def _fall_silent(self) -> str:
        """Drop everything and report it.

        Returns:
            The heard words that the conversation does not hold yet.
        """
        cut, self._unreported = self._unreported, deque()
        self._current = None
        self._announced.clear()
        # Before the line is told: one that is blocked may not take it before the call ends.
        heard_ms = self.playout.heard_ms()
        unremembered: list[str] = []
        for utterance in cut:
            if utterance.started_ms is None:
                continue
            self._report(utterance, utterance.heard_until(heard_ms), interrupted=True)
            unremembered.append(utterance.unremembered_until(heard_ms))
        await self.playout.clear()
        return " ".join(filter(None, unremembered))

    async def _started(self, utterance: Utterance) -> None:
        utterance.started_ms = self._reporter.now_ms()
        self.has_spoken = True
        self._reporter.speech_begins(is_answer=utterance.is_answer)
        await self._set_speaking(True)

    async def _ended(self, utterance: Utterance) -> None:
        if utterance not in self._unreported:
            return
        self._unreported.remove(utterance)
        if utterance.started_ms is not None:
            heard_text = utterance.heard_until(self.playout.heard_ms() + BEGUN_MS)
            self._report(utterance, heard_text, interrupted=False)
            await self.playout.checkpoint()
        if not self._unreported:
            await self._set_speaking(False)

    async def _set_speaking(self, speaking: bool) -> None:
        if speaking == self.speaking:
            return
        self.speaking = speaking
        if not speaking:
            self._reporter.state("listening")
        if self.on_speaking is not None:
            await self.on_speaking(speaking)

    def _report(self, utterance: Utterance, heard_text: str, *, interrupted: bool) -> None:
        self._reporter.spoke(
            turn=utterance.turn,
            text=utterance.text,
            heard_text=heard_text,
            interrupted=interrupted,
            started_ms=utterance.started_ms or 0.0,
            provider=utterance.provider,
        )
        if utterance.remember is not None and heard_text:
            utterance.remember(heard_text)

    def _watch(self) -> None:
        """Look again later whether the open utterance was left behind by its synthesiser."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        loop = asyncio.get_running_loop()
        self._stall_timer = loop.call_later(STALL_SECONDS, self._end_stalled, self._current)

    def _end_stalled(self, utterance: Utterance | None) -> None:
        if utterance is None or utterance is not self._current:
            return
        now = asyncio.get_running_loop().time()
        dry_at = max(self._last_sound_at, self.playout.play_end)
        if self.playout.backlog_ms or now < dry_at + STALL_SECONDS:
            self._watch()
        else:
            self._reporter.degraded("tts", "stalled", "an utterance never ended")
            self.end()
