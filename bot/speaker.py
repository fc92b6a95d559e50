"""The agent's mouth: utterances go in, the playout paces them, and what was heard comes out.

It stands outside the pipeline, so that a greeting is on the line before any vendor has
answered, and knows nothing of Pipecat.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.playout import Mark, Playout
from bot.reporter import CallReporter
from bot.speech import Utterance

OnSpeaking = Callable[[bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Cut:
    """What an interruption cut off.

    Attributes:
        was_speaking: Whether anything was being heard.
        heard_text: The heard part of the utterance that was cut.
        word_times: True where that part has already been passed on word by word.
    """

    was_speaking: bool
    heard_text: str
    word_times: bool


class Speaker:
    """Speaks utterances one after the other.

    Args:
        playout: The call's pacer.
        reporter: Told what was heard.
    """

    def __init__(self, playout: Playout, reporter: CallReporter) -> None:
        self.playout = playout
        self.speaking = False
        self.on_speaking: OnSpeaking | None = None
        self._reporter = reporter
        self._current: Utterance | None = None
        self._unreported: deque[Utterance] = deque()
        self._announced: list[str] = []

    def begin(self, provider: str) -> None:
        """An utterance begins; one that is still open goes on instead."""
        if self._current is not None:
            return
        self._current = Utterance(provider)
        self._unreported.append(self._current)
        for text in self._announced:
            self._current.begin_piece(text, self.playout.queued_ms)
        self._announced.clear()

    def announce(self, text: str) -> None:
        """A sentence will be spoken, in the open utterance or the next one."""
        if self._current is None:
            self._announced.append(text)
        else:
            self._current.begin_piece(text, self.playout.queued_ms)

    def audio(self, payload: bytes) -> None:
        """Wire audio of the open utterance."""
        utterance = self._current
        if utterance is None:
            return
        if utterance.base_ms is None:
            utterance.base_ms = self.playout.queued_ms
            self.playout.mark(lambda: self._started(utterance))
        self.playout.audio(payload)
        utterance.extend(self.playout.queued_ms)

    def word(self, text: str, offset_ms: float, then: Mark) -> None:
        """A word is heard ``offset_ms`` into the open utterance; await ``then`` at that time."""
        utterance = self._current
        if utterance is None or utterance.base_ms is None:
            self.playout.mark(then)
            return
        utterance.word_times = True

        async def heard() -> None:
            utterance.heard_words.append(text)
            await then()

        self.playout.mark(heard, utterance.base_ms + max(0.0, offset_ms))

    def end(self, then: Mark | None = None) -> None:
        """The open utterance is complete; await ``then`` when it has been heard."""
        utterance, self._current = self._current, None
        self.playout.flush()
        if utterance is not None:
            self.playout.mark(lambda: self._ended(utterance))
        if then is not None:
            self.playout.mark(then)

    def say(self, text: str, payload: bytes, provider: str, then: Mark | None = None) -> None:
        """Speak a phrase that is already encoded for the wire, after what is being said."""
        self.end()
        self.begin(provider)
        self.announce(text)
        self.audio(payload)
        self.end(then)

    async def interrupt(self) -> Cut:
        """Fall silent at once and report what had been heard."""
        was_speaking = self.playout.playing or self.speaking
        if was_speaking:
            self._reporter.interrupted()
        heard_ms = await self.playout.clear()
        cut = Cut(was_speaking, "", False)
        for utterance in self._unreported:
            heard_text = utterance.heard_until(heard_ms)
            if utterance.started_ms is not None:
                self._report(utterance, heard_text, interrupted=True)
                cut = Cut(was_speaking, heard_text, utterance.word_times)
        self._unreported.clear()
        self._announced.clear()
        self._current = None
        await self._set_speaking(False)
        return cut

    async def _started(self, utterance: Utterance) -> None:
        utterance.started_ms = self._reporter.now_ms()
        self._reporter.speech_begins()
        await self._set_speaking(True)

    async def _ended(self, utterance: Utterance) -> None:
        self._unreported.remove(utterance)
        if utterance.started_ms is not None:
            self._report(utterance, utterance.text, interrupted=False)
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
            text=utterance.text,
            heard_text=heard_text,
            interrupted=interrupted,
            started_ms=utterance.started_ms or 0.0,
            provider=utterance.provider,
        )
