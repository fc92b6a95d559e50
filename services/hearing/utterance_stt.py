"""Speech-to-text of a vendor that reads utterances: each stretch of speech between two pauses.

Pipecat's own class for this hands over a stretch only once it is over, and the next one only when
its text has come. Here a stretch is sent while it is being said, and several are read at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
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
from services.failures import Failures, category
from services.hearing.utterances import Utterance
from services.offline.frames import UnrecognizedSpeechFrame

#: Voice activity tells of speech about 200 ms after it began.
PREROLL_MS = 400
#: Utterances whose text is awaited at once; the oldest is given up for a further one.
MAX_OUTSTANDING = 4
#: How long the end of a call waits for the last text.
FAREWELL_SECONDS = 1.0

#: Makes an utterance in a language, the vendor's code.
Listen = Callable[[str], Utterance]


class UtteranceSTTService(STTService):
    """Has what was said between two pauses read, and pushes the texts in the order of speech.

    Every stretch of speech ends in a ``TranscriptionFrame`` or, where nothing was understood or
    the server failed, in an ``UnrecognizedSpeechFrame``, so that the turn always ends. Texts
    come in the order of speech, although they are asked for at the same time. A text is marked
    ``finalized`` only if the caller has not gone on speaking meanwhile.

    Args:
        listen: Makes an utterance.
        language: The vendor's code.
        languages: Our code to the vendor's.
        failures: Makes the vendor's errors.
        rate_hz: Of the caller's 16-bit mono audio, which stops here.
        ttfs_p99_seconds: From the end of speech to its text, at most but once in a hundred
            times; only turns whose last words came back empty wait for it.
        max_speech_seconds: Longer speech is read in pieces.
    """

    def __init__(
        self,
        listen: Listen,
        *,
        language: str,
        languages: Mapping[str, str],
        failures: Failures,
        rate_hz: int,
        ttfs_p99_seconds: float,
        max_speech_seconds: float = 30.0,
    ) -> None:
        # Before the base class is made, which asks for the language.
        self._languages = languages
        super().__init__(
            sample_rate=rate_hz,
            audio_passthrough=False,
            ttfs_p99_latency=ttfs_p99_seconds,
            settings=STTSettings(model=None, language=language),
        )
        self._listen = listen
        self._failures = failures
        self._rate_hz = rate_hz
        self._max_speech_seconds = max_speech_seconds
        self._before = bytearray()
        self._utterance: Utterance | None = None
        self._outstanding: list[asyncio.Task[None]] = []
        self._unfinished_text = False

    def can_generate_metrics(self) -> bool:
        """True: the time from the end of speech to its text is reported."""
        return True

    def language_to_service_language(self, language: Language) -> str | None:
        """The server's code; what it has no model for is passed on as it is written."""
        try:
            return self._languages.get(resolve_language(language.value), language.value)
        except ConfigError:
            return language.value

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Take a piece of the caller's audio; texts come from another task."""
        if self._utterance is None:
            self._before += audio
            preroll_bytes = self._rate_hz * PREROLL_MS // 1000 * 2
            del self._before[: max(0, len(self._before) - preroll_bytes)]
        else:
            self._utterance.feed(audio)
            if self._utterance.duration_seconds >= self._max_speech_seconds:
                self._utterance.finish()
                await self._begin()
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends; see the class."""
        if isinstance(frame, VADUserStartedSpeakingFrame) and self._utterance is None:
            await self._begin()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and self._utterance is not None:
            self._utterance.finish()
            self._utterance = None

    async def stop(self, frame: EndFrame) -> None:
        """Give texts that are still awaited a moment, then end."""
        if self._utterance is not None:
            self._utterance.finish()
            self._utterance = None
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

    async def _begin(self) -> None:
        """Have a new utterance read, from a little before it was noticed."""
        if len(self._outstanding) >= MAX_OUTSTANDING:
            await self.cancel_task(self._outstanding.pop(0))
            await self._report(
                self._failures.failure("stt", "overload", "speech is read too slowly")
            )
        utterance = self._listen(str(assert_given(self._settings.language)))
        utterance.feed(bytes(self._before))
        self._before.clear()
        self._utterance = utterance
        previous = self._outstanding[-1] if self._outstanding else None
        task = self.create_task(self._read(utterance, previous), "utterance")
        self._outstanding.append(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        if task in self._outstanding:
            self._outstanding.remove(task)

    async def _give_up(self) -> None:
        self._utterance = None
        while self._outstanding:
            await self.cancel_task(self._outstanding.pop())

    async def _read(self, utterance: Utterance, previous: "asyncio.Task[None] | None") -> None:
        """Have one utterance read, and push its text behind those of the ones before it."""

        async def on_interim(text: str) -> None:
            if previous is None or previous.done():
                await self._push_interim(text)

        text = ""
        error: ProviderError | None = None
        try:
            text = await utterance.text(on_interim)
        except ProviderError as failed:
            error = failed
        if previous is not None:
            await asyncio.wait([previous])
        if error is not None:
            await self._report(error)
            # Failed before it was over: its turn ends with the speech, not in the midst of it.
            while not utterance.is_over:
                await utterance.said_more_than(len(utterance.pcm))
        await self._deliver(text, utterance.duration_seconds)

    async def _push_interim(self, text: str) -> None:
        await self.push_frame(InterimTranscriptionFrame(text, self._user_id, time_now_iso8601()))

    async def _deliver(self, text: str, duration_seconds: float) -> None:
        current = asyncio.current_task()
        last = self._utterance is None and (
            not self._outstanding or self._outstanding[-1] is current
        )
        if text:
            frame = TranscriptionFrame(text, self._user_id, time_now_iso8601(), finalized=last)
            await self.push_frame(frame)
        elif last and not self._unfinished_text:
            await self.push_frame(UnrecognizedSpeechFrame(duration_seconds=duration_seconds))
        self._unfinished_text = not last and (bool(text) or self._unfinished_text)

    async def _report(self, error: ProviderError) -> None:
        logger.debug(f"{self}: {error.code}")
        await self.push_error(error.message, exception=error, category=category(error))
