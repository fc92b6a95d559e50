"""When a call is over without anybody's saying so: too long, too silent, or its line dead."""

from collections.abc import Callable
from typing import Protocol

from bot.events import AgentSpeech, CallerSpeechStarted, CallerTranscript, CallEvent, DtmfReceived
from config.agent import AgentConfig
from sessions.channel import Departure
from sessions.facts import CallFacts

#: A line on which nothing comes, not even silence: the caller is asked, then taken to be gone.
ASK_SECONDS = 10.0
NO_MEDIA_SECONDS = 30.0
#: Events that show that the conversation goes on.
ACTIVITY = (CallerSpeechStarted, CallerTranscript, DtmfReceived, AgentSpeech)


class Call(Protocol):
    """The call that may be over."""

    agent: AgentConfig
    facts: CallFacts

    def end(self, cause: str) -> None:
        """Have the call end."""

    def gone(self, departure: Departure) -> None:
        """The peer has gone."""

    def degraded(self, stage: str, kind: str, detail: str) -> None:
        """Put down something that failed."""


class CallersSide(Protocol):
    """What is known of the caller's sound: :class:`sessions.intake.Intake`."""

    paused: bool
    last_media_at: float


class AgentsSide(Protocol):
    """What is known of the agent's: :class:`bot.playout.Playout`."""

    @property
    def playing(self) -> bool:
        """Whether it is heard now."""

    @property
    def play_end(self) -> float:
        """Loop time at which the last of it is heard."""


class Deadlines:
    """The deadlines of one call.

    Args:
        call: Ended by them.
        intake: Knows when the caller's sound came last.
        playout: Knows whether the agent is heard.
        ask: Has the agent ask whether anybody is there.
        started_at: Loop time of the call's beginning.
    """

    def __init__(
        self,
        call: Call,
        intake: CallersSide,
        playout: AgentsSide,
        ask: Callable[[], None],
        started_at: float,
    ) -> None:
        self._call = call
        self._intake = intake
        self._playout = playout
        self._ask = ask
        self._started_at = started_at
        self._last_activity_at = started_at
        self._asked_at_media = 0.0

    @property
    def line_is_silent(self) -> bool:
        """Whether it has been told already that nothing comes any more."""
        return self._asked_at_media == self._intake.last_media_at

    def heard(self, event: CallEvent, now: float) -> None:
        """Something happened in the call; ``now`` is the loop's time."""
        if isinstance(event, ACTIVITY):
            self._last_activity_at = now

    def check(self, now: float) -> None:
        """Look at each of them; called about once a second with the loop's time."""
        if self._playout.playing and not self._intake.paused:
            self._last_activity_at = now
        limits = self._call.agent.call
        silent_seconds = now - self._intake.last_media_at
        if now - self._started_at >= limits.max_duration_seconds:
            self._call.end("max_duration")
        elif self._call.facts.direction != "client" and silent_seconds >= ASK_SECONDS:
            self._miss_media(silent_seconds)
        elif 0 < limits.silence_hangup_seconds <= now - self._last_activity_at:
            self._call.end("silence")

    def _miss_media(self, seconds: float) -> None:
        """Nothing comes from the caller: ask once, and later take them to be gone."""
        if seconds >= NO_MEDIA_SECONDS:
            self._call.gone("lost")
            return
        if self.line_is_silent:
            return
        last_media_at = self._asked_at_media = self._intake.last_media_at
        detail = f"nothing has come from the caller for {seconds:.0f} s"
        self._call.degraded("wire", "no_media", detail)
        # Where the agent has spoken meanwhile, the caller has been asked something already.
        if self._playout.play_end <= last_media_at:
            self._ask()
