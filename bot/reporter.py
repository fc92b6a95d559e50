"""Tells the rest of the server what happens in one call, and times its turns."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from loguru import logger

from bot.events import (
    AgentSpeech,
    AgentStateChanged,
    AgentStateName,
    AgentText,
    CallerSpeechStarted,
    CallerSpeechStopped,
    CallerTranscript,
    CallEvent,
    Degraded,
    DtmfReceived,
    Interrupted,
    LanguageChanged,
    ModelUsage,
    TurnMetrics,
)

Emit = Callable[[CallEvent], None]
#: Told the name of a queue for each thing that did not fit in.
OnDropped = Callable[[str], None]
MAX_EARLY_EVENTS = 20


class CallReporter:
    """Stamps events with the session's clock and measures each turn.

    What happens before :meth:`begin`, while the phone rings, is told then.

    Args:
        language: The call's language, for transcripts.
        call: Its id, for log lines.
        on_dropped: Counts what is dropped.
    """

    def __init__(
        self, language: str, call: str = "", on_dropped: OnDropped = lambda queue: None
    ) -> None:
        self.language = language
        self._call = call
        self._on_dropped = on_dropped
        self._full: set[str] = set()
        self._sink: Emit | None = None
        self._early: list[CallEvent] = []
        self._started_at = asyncio.get_running_loop().time()
        self.turn = 0
        self._current_state: AgentStateName = "listening"
        self._told_state: AgentStateName | None = None
        self._paused = False
        self._answered_turn = -1
        self._speech_started_ms = 0.0
        self._speech_ended_ms: float | None = None
        self._transcript_ms: float | None = None
        self._llm_asked_ms: float | None = None
        self._llm_answered_ms: float | None = None
        self._tts_asked_ms: float | None = None

    def begin(self, emit: Emit, started_at: float) -> None:
        """The session begins.

        Args:
            emit: Takes each event at once; must never block or raise.
            started_at: Loop time of its beginning.
        """
        self._sink, self._started_at = emit, started_at
        for event in self._early:
            emit(replace(event, at_ms=0.0))
        self._early.clear()

    def _emit(self, event: CallEvent) -> None:
        if self._sink is not None:
            self._sink(event)
        elif len(self._early) < MAX_EARLY_EVENTS:
            self._early.append(event)

    def now_ms(self) -> float:
        """Milliseconds since the session began."""
        return (asyncio.get_running_loop().time() - self._started_at) * 1000

    def at_ms(self, loop_time: float) -> float:
        """The session's time of an instant of the event loop's clock."""
        return (loop_time - self._started_at) * 1000

    def state(self, state: AgentStateName) -> None:
        """The agent does something else now; while it pauses, that is told when it goes on."""
        self._current_state = state
        self._tell_state(self.now_ms())

    def paused(self, paused: bool) -> None:
        """The agent neither hears nor speaks, or goes on with what it did."""
        self._paused = paused
        self._tell_state(self.now_ms())

    def _tell_state(self, now_ms: float) -> None:
        state: AgentStateName = "paused" if self._paused else self._current_state
        if state != self._told_state:
            self._told_state = state
            self._emit(AgentStateChanged(at_ms=now_ms, state=state))

    def caller_started(self, lead_ms: float) -> None:
        """The caller began to speak ``lead_ms`` ago."""
        self._speech_started_ms = self.now_ms() - lead_ms
        self._speech_ended_ms = None
        self._transcript_ms = None
        self._emit(CallerSpeechStarted(at_ms=self.now_ms()))

    def caller_stopped(self, lead_ms: float) -> None:
        """The caller fell silent ``lead_ms`` ago."""
        self._speech_ended_ms = self.now_ms() - lead_ms
        self._emit(CallerSpeechStopped(at_ms=self.now_ms()))

    @property
    def caller_silent_since(self) -> float | None:
        """Loop time of the caller's last word; None where what is answered was not spoken."""
        ended_ms = self._speech_ended_ms
        return None if ended_ms is None else self._started_at + ended_ms / 1000

    def caller_said(
        self,
        text: str,
        *,
        final: bool,
        provider: str,
        confidence: float | None = None,
        language: str | None = None,
        source: str = "speech",
    ) -> None:
        """A transcript of the caller came."""
        now_ms = self.now_ms()
        if final:
            self._transcript_ms = now_ms
        self._emit(
            CallerTranscript(
                at_ms=now_ms,
                text=text,
                final=final,
                started_ms=self._speech_started_ms if source == "speech" else now_ms,
                language=language or self.language,
                confidence=confidence,
                provider=provider,
                source="text" if source == "text" else "speech",
            )
        )

    def pressed(self, digit: str) -> None:
        """The caller pressed a key."""
        self._speech_ended_ms = self._transcript_ms = None
        self._emit(DtmfReceived(at_ms=self.now_ms(), digit=digit))

    def asked_llm(self) -> None:
        """The model was asked for an answer: a new turn."""
        self.turn += 1
        self._llm_asked_ms = self.now_ms()
        self._llm_answered_ms = self._tts_asked_ms = None
        self.state("thinking")

    def answer_begins(self) -> None:
        """An answer starts; one that nobody asked the model for (a keypad menu) is a turn too."""
        if self._llm_asked_ms is None:
            self.asked_llm()

    @property
    def answered(self) -> bool:
        """Whether the turn's answer has words."""
        return self._answered_turn == self.turn

    def llm_answered(self) -> None:
        """A token of the answer came."""
        if self._llm_answered_ms is None:
            self._llm_answered_ms = self.now_ms()

    def model_used(self, provider: str, input_tokens: int, output_tokens: int) -> None:
        """A model told what one request took; it says so after its answer."""
        self._emit(
            ModelUsage(
                at_ms=self.now_ms(),
                provider=provider,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
            )
        )

    def answer_text(self, text: str, *, final: bool) -> None:
        """A piece of the answer goes to the synthesiser; empty where it ends without more."""
        if text:
            self._answered_turn = self.turn
            if self._tts_asked_ms is None:
                self._tts_asked_ms = self.now_ms()
        self._emit(AgentText(at_ms=self.now_ms(), turn=self.turn, text=text, final=final))

    def speech_begins(self, *, is_answer: bool = True) -> None:
        """The first audio of an utterance was sent: close the turn's timing if it answers."""
        now_ms = self.now_ms()
        self._current_state = "speaking"
        self._tell_state(now_ms)
        if self._llm_asked_ms is None or not is_answer:
            return
        self._emit(
            TurnMetrics(
                at_ms=now_ms,
                turn=self.turn,
                response_ms=_between(self._speech_ended_ms, now_ms),
                stt_ms=_between(self._speech_ended_ms, self._transcript_ms),
                llm_ms=_between(self._llm_asked_ms, self._llm_answered_ms),
                tts_ms=_between(self._tts_asked_ms, now_ms),
            )
        )
        self._llm_asked_ms = None
        self._speech_ended_ms = None

    def spoke(
        self,
        *,
        turn: int,
        text: str,
        heard_text: str,
        interrupted: bool,
        started_ms: float,
        provider: str,
    ) -> None:
        """An utterance was heard to its end or cut."""
        self._emit(
            AgentSpeech(
                at_ms=self.now_ms(),
                turn=turn,
                started_ms=started_ms,
                text=text,
                heard_text=heard_text,
                interrupted=interrupted,
                language=self.language,
                provider=provider,
            )
        )

    def language_changed(self, language: str, reason: str, asked_at: float) -> None:
        """From now on another language is spoken; ``asked_at`` is the request's loop time."""
        previous, self.language = self.language, language
        self._emit(
            LanguageChanged(
                at_ms=self.now_ms(),
                language=language,
                previous=previous,
                reason=reason,
                after_ms=self.now_ms() - self.at_ms(asked_at),
            )
        )

    def interrupted(self) -> None:
        """The caller spoke over the agent."""
        self._emit(Interrupted(at_ms=self.now_ms()))

    def dropped(self, queue: str, stage: str, detail: str) -> None:
        """Something did not fit into a queue: counted each time, told once in a call.

        Args:
            queue: Its name, as metrics have it.
            stage: Whose work it is.
            detail: What that means to the call.
        """
        self._on_dropped(queue)
        if queue not in self._full:
            self._full.add(queue)
            self.degraded(stage, f"{queue}_full", detail)

    def degraded(self, stage: str, kind: str, detail: str, provider: str | None = None) -> None:
        """Something failed and the call goes on."""
        with logger.contextualize(call=self._call):
            logger.warning(" ".join(filter(None, (stage, provider, f"{kind}:", detail))))
        self._emit(
            Degraded(at_ms=self.now_ms(), stage=stage, kind=kind, provider=provider, detail=detail)
        )


def _between(start_ms: float | None, end_ms: float | None) -> float | None:
    if start_ms is None or end_ms is None or end_ms < start_ms:
        return None
    return end_ms - start_ms
