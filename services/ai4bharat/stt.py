"""AI4Bharat speech-to-text in a call: collects an utterance between pauses, and has it read."""

import asyncio
from collections.abc import AsyncGenerator

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.types import assert_given

from config.errors import ConfigError, ProviderError
from config.languages import resolve_language
from services.ai4bharat import STT_LANGUAGES, AI4BharatSTTOptions
from services.ai4bharat.failures import category, failure
from services.ai4bharat.transcription import Transcriber, server_address
from services.context import ServiceContext
from services.offline.frames import UnrecognizedSpeechFrame

#: Voice activity tells of speech about 200 ms after it began.
PREROLL_MS = 400
#: The server answers nothing useful to less.
MIN_SPEECH_MS = 100
#: Utterances whose text is awaited at once; the oldest is given up for a further one.
MAX_OUTSTANDING = 4
#: How long the end of a call waits for the last text.
FAREWELL_SECONDS = 1.0
#: From the end of speech to its text: 200 ms until the pause is noticed, 100 ms batch interval
#: of the server, the rest for the model. An estimate; only turns whose last words came back
#: empty wait for it.
TTFS_P99_SECONDS = 1.0


class AI4BharatSTTService(STTService):
    """Sends what was said between two pauses, and pushes what the server read.

    Every stretch of speech ends in a ``TranscriptionFrame`` or, where nothing was understood or
    the server failed, in an ``UnrecognizedSpeechFrame``, so that the turn always ends. Texts
    come in the order of speech, although they are asked for at the same time. A text is marked
    ``finalized`` only if the caller has not gone on speaking meanwhile.

    Args:
        transcriber: The server.
        language: The server's code.
        rate_hz: Of the caller's 16-bit mono audio, which stops here.
        max_speech_seconds: Longer speech is sent in pieces.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        *,
        language: str,
        rate_hz: int,
        max_speech_seconds: float = 30.0,
    ) -> None:
        super().__init__(
            sample_rate=rate_hz,
            audio_passthrough=False,
            ttfs_p99_latency=TTFS_P99_SECONDS,
            settings=STTSettings(model=None, language=language),
        )
        self._transcriber = transcriber
        self._rate_hz = rate_hz
        self._max_bytes = int(rate_hz * max_speech_seconds) * 2
        self._speech = bytearray()
        self._in_speech = False
        self._outstanding: list[asyncio.Task[None]] = []
        self._unfinished_text = False

    def can_generate_metrics(self) -> bool:
        """True: the time from the end of speech to its text is reported."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """The server's code; what it has no model for is passed on as it is written."""
        try:
            return STT_LANGUAGES.get(resolve_language(language.value), language.value)
        except ConfigError:
            return language.value

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Collect a piece of the caller's audio; the text comes when the caller pauses."""
        self._speech += audio
        if not self._in_speech:
            del self._speech[: max(0, len(self._speech) - self._bytes(PREROLL_MS))]
        while len(self._speech) >= self._max_bytes:
            await self._send(self._take(self._max_bytes))
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends; see the class."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._in_speech = True
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and self._in_speech:
            self._in_speech = False
            await self._send(self._take(len(self._speech)))

    async def stop(self, frame: EndFrame) -> None:
        """Give texts that are still awaited a moment, then end."""
        if self._outstanding:
            await asyncio.wait(self._outstanding, timeout=FAREWELL_SECONDS)
        await self._give_up()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End at once."""
        await self._give_up()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Leave nothing running."""
        await self._give_up()
        await super().cleanup()  # type: ignore[no-untyped-call]

    def _bytes(self, duration_ms: float) -> int:
        return int(self._rate_hz * duration_ms / 1000) * 2

    def _take(self, size: int) -> bytes:
        taken = bytes(self._speech[:size])
        del self._speech[:size]
        return taken

    async def _send(self, pcm: bytes) -> None:
        """Ask for the text of one stretch of speech."""
        if len(self._outstanding) >= MAX_OUTSTANDING:
            await self.cancel_task(self._outstanding.pop(0))
            await self._report(failure("stt", "overload", "speech is read too slowly"))
        previous = self._outstanding[-1] if self._outstanding else None
        task = self.create_task(self._read(pcm, previous), "segment")
        self._outstanding.append(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        if task in self._outstanding:
            self._outstanding.remove(task)

    async def _give_up(self) -> None:
        while self._outstanding:
            await self.cancel_task(self._outstanding.pop())

    async def _read(self, pcm: bytes, previous: "asyncio.Task[None] | None") -> None:
        """Have one stretch read, and push what it says behind the ones before it."""
        text = ""
        error: ProviderError | None = None
        if len(pcm) >= self._bytes(MIN_SPEECH_MS):
            language = str(assert_given(self._settings.language))
            try:
                text = await self._transcriber.transcribe(
                    pcm, rate_hz=self._rate_hz, language=language
                )
            except ProviderError as failed:
                error = failed
        if previous is not None:
            await asyncio.wait([previous])
        if error is not None:
            await self._report(error)
        await self._deliver(text, len(pcm) / 2 / self._rate_hz)

    async def _deliver(self, text: str, duration_seconds: float) -> None:
        current = asyncio.current_task()
        last = not self._in_speech and (not self._outstanding or self._outstanding[-1] is current)
        if text:
            frame = TranscriptionFrame(text, self._user_id, time_now_iso8601(), finalized=last)
            await self.push_frame(frame)
        elif last and not self._unfinished_text:
            await self.push_frame(UnrecognizedSpeechFrame(duration_seconds=duration_seconds))
        self._unfinished_text = not last and (bool(text) or self._unfinished_text)

    async def _report(self, error: ProviderError) -> None:
        logger.debug(f"{self}: {error.code}")
        await self.push_error(error.message, exception=error, category=category(error))


def build_stt(options: AI4BharatSTTOptions, context: ServiceContext) -> AI4BharatSTTService:
    """A recogniser for one call.

    Raises:
        ConfigError: The address is none.
    """
    transcriber = Transcriber(
        http=context.http,
        base_url=server_address(context.base_url),
        timeout_seconds=options.timeout_seconds,
    )
    return AI4BharatSTTService(
        transcriber,
        language=context.vendor_language or "hi",
        rate_hz=context.rate_hz,
        max_speech_seconds=options.max_speech_seconds,
    )
