"""Azure text-to-speech: Pipecat's own service in a call, the same SDK outside one."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from azure.cognitiveservices.speech import (
    CancellationReason,
    Connection,
    ResultReason,
    SpeechConfig,
    SpeechSynthesizer,
)
from pipecat.frames.frames import ErrorFrame, Frame, InterruptionFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.azure.tts import AzureTTSService, sample_rate_to_output_format

from config.errors import ProviderError
from services.azure import VOICES, AzureTTSOptions
from services.azure.addresses import place
from services.azure.failures import cancelled, category, failure
from services.azure.threads import let_go
from services.context import ServiceContext

#: Longest wait for the next piece of a sentence; Pipecat 1.14 would wait for ever.
PIECE_SECONDS = 5.0
RENDER_SECONDS = 15.0


class ReportingAzureTTSService(AzureTTSService):
    """Pipecat's service, connected early, with errors of a known kind and a limit on waits.

    The SDK may tell of the end of an interrupted sentence when the next one has begun; Pipecat
    1.14 takes that for the end of the next one.
    """

    _failure: ProviderError | None = None
    _connection: Connection | None = None
    #: The SDK's name for what is being spoken, and for what was interrupted last.
    _result_id = ""
    _interrupted_id = ""
    _is_interrupting = False
    _is_over = False

    async def setup(  # type: ignore[override]
        self, setup: FrameProcessorSetup
    ) -> None:
        """Connect, so that the first sentence need not wait for it."""
        await super().setup(setup)
        synthesizer: Any = self._speech_synthesizer
        synthesizer.synthesis_started.connect(self._note_started)
        self._connection = Connection.from_speech_synthesizer(synthesizer)
        self._connection.open(True)

    async def cleanup(self) -> None:
        """Let go of the SDK."""
        self._is_over = True
        await super().cleanup()  # type: ignore[no-untyped-call]
        synthesizer, self._speech_synthesizer = self._speech_synthesizer, None
        connection, self._connection = self._connection, None
        if synthesizer and connection:
            let_go(partial(_end, synthesizer, connection))

    async def _handle_interruption(
        self, frame: InterruptionFrame, direction: FrameDirection
    ) -> None:
        self._interrupted_id = self._result_id
        self._is_interrupting = True
        try:
            await super()._handle_interruption(frame, direction)
        finally:
            self._is_interrupting = False

    def _note_started(self, event: Any) -> None:
        """Note what begins to be spoken; called on a thread of the SDK's, as what follows is."""
        self._result_id = event.result.result_id
        if self._is_interrupting:
            self._interrupted_id = self._result_id

    def _is_wanted(self, result_id: str) -> bool:
        # The loop that would be told may be closed once the call is over.
        return not self._is_over and result_id != self._interrupted_id

    def _handle_synthesizing(self, evt: Any) -> None:
        if self._is_wanted(evt.result.result_id):
            super()._handle_synthesizing(evt)  # type: ignore[no-untyped-call]

    def _handle_completed(self, evt: Any) -> None:
        if self._is_wanted(evt.result.result_id):
            super()._handle_completed(evt)  # type: ignore[no-untyped-call]

    def _handle_word_boundary(self, evt: Any) -> None:
        if self._is_wanted(evt.result_id):
            super()._handle_word_boundary(evt)  # type: ignore[no-untyped-call]

    def _handle_canceled(self, evt: Any) -> None:
        if not self._is_wanted(evt.result.result_id):
            return
        details = evt.result.cancellation_details
        if details.reason == CancellationReason.Error:
            self._failure = cancelled("tts", details)
        super()._handle_canceled(evt)  # type: ignore[no-untyped-call]

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak one sentence, or tell what went wrong."""
        self._failure = None
        frames = super().run_tts(text, context_id)
        try:
            while True:
                async with asyncio.timeout(PIECE_SECONDS):
                    frame = await anext(frames, None)
                if frame is None:
                    return
                yield self._typed(frame) if isinstance(frame, ErrorFrame) else frame
        except TimeoutError:
            if self._speech_synthesizer:
                self._speech_synthesizer.stop_speaking_async()
            yield _error_frame(failure("tts", "timeout", "the sound stopped coming"))

    def _typed(self, frame: ErrorFrame) -> ErrorFrame:
        return _error_frame(self._failure or failure("tts", "failed", frame.error))


def _end(synthesizer: SpeechSynthesizer, connection: Connection) -> None:
    """End a synthesis and its connection; may block."""
    # The SDK's threads must not call into a loop that may soon be closed.
    for signal in (
        synthesizer.synthesis_started,
        synthesizer.synthesizing,
        synthesizer.synthesis_completed,
        synthesizer.synthesis_canceled,
        synthesizer.synthesis_word_boundary,
    ):
        signal.disconnect_all()
    synthesizer.stop_speaking()
    connection.close()


def _error_frame(error: ProviderError) -> ErrorFrame:
    return ErrorFrame(error=error.message, exception=error, category=category(error))


def build_tts(options: AzureTTSOptions, context: ServiceContext) -> AzureTTSService:
    """A streaming synthesiser for one call, at the line's own rate and with word times.

    Raises:
        ConfigError: The address is none.
    """
    language: Any = context.vendor_language
    return ReportingAzureTTSService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        sample_rate=context.rate_hz,
        settings=AzureTTSService.Settings(
            language=language,
            voice=options.voice or VOICES.get(str(language)),
            rate=None if options.speaking_rate == 1 else f"{options.speaking_rate:g}",
            pitch=f"{options.pitch_percent:+d}%" if options.pitch_percent else None,
            style=options.style,
        ),
        **place("tts", options, context),
    )


async def render(options: AzureTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: Azure refused or could not be reached.
    """
    # The service knows how to write what is to be said; it is never run.
    ssml = build_tts(options, context)._construct_ssml(text)
    where = place("tts", options, context)
    config = SpeechConfig(
        subscription=context.api_key.get_secret_value() if context.api_key else "",
        endpoint=where.get("private_endpoint"),
        region=where.get("region"),
    )
    config.set_speech_synthesis_output_format(sample_rate_to_output_format(context.rate_hz))
    synthesizer = SpeechSynthesizer(speech_config=config, audio_config=None)
    try:
        async with asyncio.timeout(RENDER_SECONDS):
            result = await asyncio.to_thread(synthesizer.speak_ssml, ssml)
    except TimeoutError as error:
        synthesizer.stop_speaking_async()
        raise failure("tts", "timeout", "the phrase did not come") from error
    if result.reason != ResultReason.SynthesizingAudioCompleted:
        raise cancelled("tts", result.cancellation_details)
    pcm: bytes = result.audio_data
    return pcm
