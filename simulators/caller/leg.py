"""One caller's mouth and ear, whatever the wire: what both dialects have in common.

All times are milliseconds since the call's zero: the moment the carrier sent ``start``, or
the client program received ``ready``.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from simulators.caller.codec import PACKET_MS, WireFormat
from simulators.caller.heard import MIN_GAP_MS, Gap, Reply, find_replies
from simulators.caller.impairment import Impairment
from simulators.caller.phrase import Packet, Phrase, Utterance, packet_of, prepare_phrase
from simulators.caller.playback import Playback, PlaybackEvent
from simulators.caller.ticker import RealTicker, Ticker
from simulators.caller.turns import Turn, find_turns
from simulators.speech import Pcm, Speech, Voice

_MOST_VIOLATIONS: Final = 200
#: A caller whose beat comes so late has stood still, and has not heard what came meanwhile.
_STOOD_STILL_MS: Final = 300.0


class CallClosed(ConnectionError):
    """The call ended while something was being waited for."""


class CallTimeout(TimeoutError):
    """What was waited for did not happen in time."""


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """A final piece of the transcript, as the server told it."""

    at_ms: float
    speaker: Literal["caller", "agent"]
    text: str


@dataclass(frozen=True, slots=True)
class Violation:
    """Something the server did that the protocol does not allow."""

    at_ms: float
    text: str


@dataclass(slots=True)
class _Waiter:
    condition: Callable[[], bool]
    deadline_ms: float
    future: asyncio.Future[None]
    what: str


class Leg:
    """Sends what the caller says and records what the caller hears.

    Args:
        wire_format: Format in which the caller's audio is sent.
        ticker: The clock; by default real time, shared by all callers of the event loop.
        speech: Makes speech of text given to :meth:`say`.
        voice: In which voice.
        background: Noise sent while the caller is silent, repeated; digital silence otherwise.
        impairment: What the line does to the caller's packets.
    """

    def __init__(
        self,
        *,
        wire_format: WireFormat,
        ticker: Ticker | None = None,
        speech: Speech | None = None,
        voice: Voice | None = None,
        background: Pcm | None = None,
        impairment: Impairment | None = None,
    ) -> None:
        self.ticker = ticker or RealTicker.shared()
        self.speech = speech or Speech()
        self.voice = voice or Voice()
        self.playback = Playback()
        self.utterances: list[Utterance] = []
        self.keys: list[tuple[float, str]] = []
        self.transcript: list[TranscriptLine] = []
        self.violations: list[Violation] = []
        self.packets_sent = 0
        self.packets_received = 0
        self.first_audio_ms: float | None = None
        self.ended_ms: float | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._background = background
        self._impairment = impairment
        self._zero_ms: float | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._queue: deque[Utterance] = deque()
        self._waiters: list[_Waiter] = []
        self._listening_since_ms = -math.inf
        self._beat_ms = 0.0
        self._stood_still_until_ms = -math.inf
        self._muted = False
        self._set_format(wire_format)

    # What a caller does

    async def say(self, what: str | Pcm | Phrase) -> Utterance:
        """Speak; returns when the last sample has been sent.

        Args:
            what: A sentence, samples at the wire's rate, or a prepared phrase.

        Raises:
            CallClosed: The call ended before the phrase did.
        """
        phrase = await self.phrase(what)
        self._require_live()
        utterance = Utterance(phrase, asyncio.get_running_loop().create_future())
        self._queue.append(utterance)
        self.utterances.append(utterance)
        await utterance.done
        return utterance

    async def phrase(self, what: str | Pcm | Phrase) -> Phrase:
        """Encode a sentence or samples for this call's wire."""
        if isinstance(what, Phrase):
            return what
        if isinstance(what, np.ndarray):
            return prepare_phrase(what, self.wire_format)
        rate_hz = self.wire_format.rate_hz
        pcm = await self.speech.say(what, voice=self.voice, rate_hz=rate_hz)
        return prepare_phrase(pcm, self.wire_format, what)

    async def wait(self, duration_ms: float) -> None:
        """Let call time pass."""
        until_ms = self.now_ms + duration_ms
        await self.until(lambda: self.now_ms >= until_ms, duration_ms + 1000, "the pause")

    async def listen_until_quiet(
        self, quiet_ms: float = 700.0, timeout_ms: float = 15_000.0
    ) -> Reply:
        """Wait until the agent has spoken and then been silent for ``quiet_ms``.

        Counts what was received since the caller's last input (or the last time this
        returned), so that a reply that came early is not waited for twice. Where the caller's
        own process stood still, silence counts from then on: what came meanwhile is not heard
        yet.

        Raises:
            CallTimeout: No reply, or no end of it.
            CallClosed: The call ended first.
        """
        since_ms = self._listening_since_ms

        def quiet() -> bool:
            if self.live and self._stands_still:
                return False
            silent_since_ms = max(self.playback.last_audible_end_ms, self._stood_still_until_ms)
            if self.now_ms - silent_since_ms < quiet_ms:
                return False
            return self.playback.first_audible_after(since_ms) is not None

        await self.until(quiet, timeout_ms, "the reply and its end")
        self._listening_since_ms = max(self._listening_since_ms, self.now_ms)
        return self.replies()[-1]

    async def wait_for_speech(self, timeout_ms: float = 15_000.0) -> float:
        """Wait until the agent has begun to speak since the caller's last input.

        Returns:
            When its first audible packet arrived.

        Raises:
            CallTimeout: It did not.
            CallClosed: The call ended first.
        """
        since_ms = self._listening_since_ms

        def begun() -> bool:
            return self.playback.first_audible_after(since_ms) is not None

        await self.until(begun, timeout_ms, "the agent to speak")
        arrived_ms = self.playback.first_audible_after(since_ms)
        assert arrived_ms is not None
        return arrived_ms

    async def until(self, condition: Callable[[], bool], timeout_ms: float, what: str) -> None:
        """Wait for a condition, looked at every 20 ms of call time.

        Raises:
            CallTimeout: It did not come true in time.
            CallClosed: The call ended first.
        """
        if condition():
            return
        self._require_live()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(_Waiter(condition, self.now_ms + timeout_ms, future, what))
        await future

    def mute(self, muted: bool = True) -> None:
        """Stop sending media altogether, as a carrier does whose call leg is dead."""
        self._muted = muted

    # What can be asked at any time

    @property
    def now_ms(self) -> float:
        """Time since the call's zero."""
        return 0.0 if self._zero_ms is None else self.ticker.now_ms() - self._zero_ms

    @property
    def live(self) -> bool:
        """Whether the call is up."""
        return self._zero_ms is not None and self.ended_ms is None

    @property
    def duration_ms(self) -> float:
        """Length of the call so far."""
        return self.now_ms if self.ended_ms is None else self.ended_ms

    @property
    def heard(self) -> Pcm:
        """Everything heard, sample-exact from the call's zero, at the agent's sample rate."""
        return self.playback.heard(self.duration_ms)

    @property
    def said(self) -> Pcm:
        """Everything said, from the call's zero, at the wire's sample rate."""
        rate_hz = self.wire_format.rate_hz
        mouth = np.zeros(round(self.duration_ms * rate_hz / 1000), dtype=np.int16)
        for utterance in self.utterances:
            if utterance.next_packet:
                start = max(0, round((utterance.start_ms - PACKET_MS) * rate_hz / 1000))
                sent = utterance.next_packet * self.wire_format.packet_samples
                pcm = utterance.phrase.pcm[: min(sent, max(0, mouth.size - start))]
                mouth[start : start + pcm.size] = pcm
        return mouth

    def replies(self, *, min_gap_ms: float = MIN_GAP_MS) -> tuple[Reply, ...]:
        """What the agent said, divided as :mod:`simulators.caller.heard` defines."""
        inputs = [utterance.end_ms for utterance in self.utterances]
        return find_replies(
            self.playback.segments,
            inputs_ms=inputs + [at_ms for at_ms, _ in self.keys],
            clears_ms=self.playback.clears_ms,
            min_gap_ms=min_gap_ms,
        )

    def gaps(self, *, min_gap_ms: float = MIN_GAP_MS) -> tuple[Gap, ...]:
        """Every time the agent's speech broke off for want of audio."""
        return tuple(gap for reply in self.replies(min_gap_ms=min_gap_ms) for gap in reply.gaps)

    def turns(self) -> tuple[Turn, ...]:
        """The caller's inputs in order, with the latency of each reply."""
        return find_turns(self.utterances, self.keys, self.replies(), self.playback)

    # For the dialects

    def _set_format(self, wire_format: WireFormat) -> None:
        self.wire_format = wire_format
        raw = [wire_format.silence()]
        if self._background is not None:
            raw = list(wire_format.packets(self._background))
        self._idle_packets = tuple(packet_of(each) for each in raw)

    def _begin(self) -> None:
        self._zero_ms = self.ticker.now_ms()
        self._unsubscribe = self.ticker.subscribe(self._tick)

    def _end(self, code: int, reason: str) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self.ended_ms is not None:
            return
        self.ended_ms = self.now_ms
        self.close_code, self.close_reason = code, reason
        self.playback.cut(self.ended_ms)
        self._fail_waiters(f"the call ended ({code} {reason})".replace(" )", ")"))

    def _fail_waiters(self, message: str) -> None:
        for waiter in self._waiters:
            if waiter.future.done():
                continue
            if waiter.condition():
                waiter.future.set_result(None)
            else:
                waiter.future.set_exception(CallClosed(f"{message} before {waiter.what}"))
        self._waiters.clear()
        for utterance in self._queue:
            if not utterance.done.done():
                utterance.done.set_exception(CallClosed(f"{message} before the phrase did"))
        self._queue.clear()

    def _tick(self) -> None:
        if not self._muted:
            self._send_next_packet()
        now_ms = self.now_ms
        if self._stands_still:
            self._stood_still_until_ms = now_ms
        self._beat_ms = now_ms
        for event in self.playback.due(now_ms):
            self._tell(event)
        if self._waiters:
            self._wake_waiters(now_ms)

    @property
    def _stands_still(self) -> bool:
        return self.now_ms - self._beat_ms > _STOOD_STILL_MS

    def _send_next_packet(self) -> None:
        if not self._queue:
            self._send_packet(self._idle_packets[self.packets_sent % len(self._idle_packets)])
            return
        utterance = self._queue[0]
        packets = utterance.phrase.packets
        if utterance.next_packet == 0:
            utterance.start_ms = self.now_ms
        self._send_packet(packets[utterance.next_packet])
        utterance.next_packet += 1
        if utterance.next_packet == len(packets):
            self._queue.popleft()
            utterance.end_ms = self._listening_since_ms = self.now_ms
            if not utterance.done.done():
                utterance.done.set_result(None)

    def _key_pressed(self, digit: str) -> None:
        self._listening_since_ms = self.now_ms
        self.keys.append((self.now_ms, digit))

    def _wake_waiters(self, now_ms: float) -> None:
        for waiter in tuple(self._waiters):
            if waiter.future.done():
                self._waiters.remove(waiter)
            elif waiter.condition():
                self._waiters.remove(waiter)
                waiter.future.set_result(None)
            elif now_ms >= waiter.deadline_ms:
                self._waiters.remove(waiter)
                waiter.future.set_exception(CallTimeout(f"waited in vain for {waiter.what}"))

    def _hear(self, payload: bytes, wire_format: WireFormat) -> None:
        now_ms = self.now_ms
        self.packets_received += 1
        segment = self.playback.play(now_ms, payload, wire_format)
        if segment is not None and self.first_audio_ms is None:
            self.first_audio_ms = now_ms

    def _violated(self, text: str) -> None:
        if len(self.violations) < _MOST_VIOLATIONS:
            self.violations.append(Violation(self.now_ms, text))

    def _require_live(self) -> None:
        if not self.live:
            raise CallClosed("the call is not up")

    def _send_packet(self, packet: Packet) -> None:
        """Send 20 ms of audio in the dialect's message."""
        raise TypeError(f"{type(self).__name__} has no wire")

    def _tell(self, event: PlaybackEvent) -> None:
        """Tell the server what the play-out buffer did; nothing by default."""
