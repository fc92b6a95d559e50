"""OpenAI's realtime transcription: a caller's speech streamed over a socket, text as it comes.

Pipecat's own service for it sends every second of a call, silence too, as 24 kHz audio through a
resampler that holds back 64 ms; gives interim texts piece by piece rather than whole; marks none
as final; takes an utterance without words for a fatal error; waits without limit; and connects
again by itself. Here only speech is sent, at a telephone's own 8 kHz in mu-law.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import STTSettings
from pipecat.services.stt_latency import OPENAI_REALTIME_TTFS_P99
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from services.context import ServiceContext
from services.offline.frames import UnrecognizedSpeechFrame
from services.openai.options import OpenAIRealtimeSTTOptions
from services.openai.session import Heard, Session, SessionError
from services.openai.span import Span

#: Voice activity tells of speech about 200 ms after it began.
PREROLL_MS = 400
#: The server refuses to read less.
MIN_SPEECH_MS = 100
#: How long the end of a call waits for the last text.
FAREWELL_SECONDS = 1.0


class OpenAIRealtimeSTTService(STTService):
    """Streams what is said between two pauses, and pushes its text in the order of speech.

    Every stretch of speech ends in a ``TranscriptionFrame`` or, where nothing was understood, in
    an ``UnrecognizedSpeechFrame``. A session that fails is reported once, and not opened again.
    """

    def __init__(self, options: OpenAIRealtimeSTTOptions, context: ServiceContext) -> None:
        super().__init__(
            sample_rate=context.rate_hz,
            audio_passthrough=False,
            ttfs_p99_latency=OPENAI_REALTIME_TTFS_P99,
            settings=STTSettings(model=options.model, language=context.vendor_language),
        )
        self._rate_hz = context.rate_hz
        self._session = Session(options, context, self._take)
        self._running: asyncio.Task[None] | None = None
        self._before: deque[bytes] = deque()
        self._before_bytes = 0
        self._speech_bytes: int | None = None
        self._given_bytes = 0
        self._spans: deque[Span] = deque()
        self._all_read = asyncio.Event()
        self._all_read.set()

    def can_generate_metrics(self) -> bool:
        """True: the time from the end of speech to its text is reported."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """The code as it is: ours are checked when an agent is loaded, and are Whisper's."""
        return language.value.partition("-")[0]

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to connect; audio is kept meanwhile."""
        await super().setup(setup)
        self._running = self.create_task(self._run(), "session")

    async def connected(self) -> None:
        """Return when the session is open; never, if it fails, which is reported."""
        await self._session.ready.wait()

    async def stop(self, frame: EndFrame) -> None:
        """Give texts that are still awaited a moment, then end."""
        await self._pause()
        if self._running is not None and not self._running.done():
            waiting = asyncio.ensure_future(self._all_read.wait())
            await asyncio.wait(
                (waiting, self._running),
                timeout=FAREWELL_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            waiting.cancel()
        await self._hang_up()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End at once."""
        await self._hang_up()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Leave nothing running."""
        await self._hang_up()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends; see the class."""
        if isinstance(frame, VADUserStartedSpeakingFrame) and self._speech_bytes is None:
            self._speech_bytes = 0
            for audio in self._before:
                self._say(audio)
            self._before.clear()
            self._before_bytes = 0
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._pause()

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Take a piece of the caller's audio; texts come from another task."""
        self._given_bytes += len(audio)
        if self._speech_bytes is not None:
            self._say(audio)
        else:
            self._before.append(audio)
            self._before_bytes += len(audio)
            while self._before_bytes - len(self._before[0]) >= self._bytes(PREROLL_MS):
                self._before_bytes -= len(self._before.popleft())
        yield None

    def _bytes(self, milliseconds: int) -> int:
        return self._rate_hz * milliseconds // 1000 * 2

    def _say(self, audio: bytes) -> None:
        self._speech_bytes = (self._speech_bytes or 0) + len(audio)
        self._session.say(audio)

    async def _pause(self) -> None:
        """The caller is silent: have what was said read."""
        if self._speech_bytes is None:
            return
        said, self._speech_bytes = self._speech_bytes, None
        if said < self._bytes(MIN_SPEECH_MS):
            self._session.forget()
            await self.push_frame(UnrecognizedSpeechFrame(duration_seconds=0.0))
            return
        self._spans.append(Span.of(self._given_bytes, said, self._rate_hz))
        self._all_read.clear()
        self._session.read(said / 2 / self._rate_hz)

    async def _run(self) -> None:
        try:
            await self._session.run()
        except SessionError as error:
            await self.push_error(error.message, exception=error.cause, category=error.category)
        finally:
            self._all_read.set()

    async def _take(self, heard: Heard) -> None:
        if not heard.is_final:
            await self.push_frame(
                InterimTranscriptionFrame(heard.text, self._user_id, time_now_iso8601())
            )
            return
        span = self._spans.popleft() if self._spans else None
        is_last = not self._spans and self._speech_bytes is None
        if heard.text:
            await self.push_frame(
                TranscriptionFrame(
                    heard.text,
                    self._user_id,
                    time_now_iso8601(),
                    result=span,
                    finalized=is_last,
                )
            )
        elif is_last:
            await self.push_frame(UnrecognizedSpeechFrame(duration_seconds=heard.duration_seconds))
        if not self._spans:
            self._all_read.set()

    async def _hang_up(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await self.cancel_task(running)


def build_stt(
    options: OpenAIRealtimeSTTOptions, context: ServiceContext
) -> OpenAIRealtimeSTTService:
    """A streaming recogniser for one call."""
    return OpenAIRealtimeSTTService(options, context)
