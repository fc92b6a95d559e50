"""The caller's side of one call: audio and keys on their way into the pipeline."""

import asyncio

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from bot.chains.stt import SttChain
from bot.ear import Ear
from bot.reporter import CallReporter
from bot.speaker import Speaker
from bot.turns import VAD_START_MS, VAD_STOP_MS, vad_params
from bot.vad import VadEngine, VoiceActivity
from serializer.codecs import AudioFormat

#: How long a greeting that has to be synthesised may take before the caller is heard anyway.
GREETING_SECONDS = 5.0
TOO_MUCH_AT_ONCE = "more sound came at once than can be listened to for speech"
KEYS = frozenset(entry.value for entry in KeypadEntry)


class Hearing:
    """Hears one caller.

    Args:
        line: Codec of what comes in.
        vad: The process's voice activity.
        speaker: The agent's mouth, for the time in which the caller is not heard.
        reporter: Told of voice activity and keys.
    """

    def __init__(
        self,
        line: AudioFormat,
        vad: VadEngine,
        speaker: Speaker,
        reporter: CallReporter,
    ) -> None:
        self._ear = Ear(line)
        self._vad = vad
        self._activity = VoiceActivity(self._ear.rate_hz, self._voice_changed, vad_params())
        self._speaker = speaker
        self._reporter = reporter
        self._front: SttChain | None = None
        self._deaf_until: float | None = None
        self._closed = False

    @property
    def rate_hz(self) -> int:
        """Rate of the samples that enter the pipeline."""
        return self._ear.rate_hz

    def connect(self, front: SttChain) -> None:
        """The pipeline has been built.

        Args:
            front: Its first processor, which keeps what comes before it runs.
        """
        self._front = front

    def wait_for_greeting(self) -> None:
        """Hear nothing but keys until the greeting was heard, or is long overdue."""
        self._deaf_until = asyncio.get_running_loop().time() + GREETING_SECONDS

    async def take(self, payload: bytes) -> None:
        """Take the caller's audio, as it came on the line."""
        pcm = None if self._closed else self._ear.take(payload)
        if not pcm:
            return
        if self._deaf():
            pcm = bytes(len(pcm))
        if not self._vad.feed(self._activity, pcm):
            self._reporter.dropped("voice_activity", "pipeline", TOO_MUCH_AT_ONCE)
        if self._front is not None:
            await self._front.hear(InputAudioRawFrame(pcm, self._ear.rate_hz, 1))

    async def press(self, digit: str) -> None:
        """The caller pressed a key; what is none is reported and goes no further."""
        self._reporter.pressed(digit)
        if digit in KEYS:
            await self._enter(InputDTMFFrame(button=KeypadEntry(digit)))

    def close(self) -> None:
        """Hear no more."""
        self._closed = True
        self._vad.forget(self._activity)

    def _deaf(self) -> bool:
        """Whether the greeting is being heard or still to come."""
        if self._deaf_until is None:
            return False
        greeting = self._speaker.playout.playing or self._speaker.speaking
        overdue = asyncio.get_running_loop().time() >= self._deaf_until
        if not greeting and (self._speaker.has_spoken or overdue):
            self._deaf_until = None
        return self._deaf_until is not None

    async def _enter(self, frame: Frame) -> None:
        if self._front is not None and not self._closed:
            await self._front.queue_frame(frame)

    async def _voice_changed(self, speaking: bool, for_ms: float) -> None:
        frame: Frame
        if speaking:
            self._reporter.caller_started(for_ms)
            frame = VADUserStartedSpeakingFrame(start_secs=VAD_START_MS / 1000)
        else:
            self._reporter.caller_stopped(for_ms)
            frame = VADUserStoppedSpeakingFrame(stop_secs=VAD_STOP_MS / 1000)
        await self._enter(frame)
