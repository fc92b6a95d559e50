"""Azure speech-to-text through Pipecat's own service."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from azure.cognitiveservices.speech import CancellationReason, ResultReason, SpeechRecognizer
from azure.cognitiveservices.speech.audio import (
    AudioConfig,
    AudioStreamFormat,
    PushAudioInputStream,
)
from pipecat.services.azure.stt import AzureSTTService

from config.errors import ProviderError
from services.azure import AzureSTTOptions
from services.azure.addresses import place
from services.azure.failures import cancelled, category, failure
from services.azure.threads import let_go
from services.context import ServiceContext
from services.hearing.unheard import TellsUnheard


class ReportingAzureSTTService(TellsUnheard, AzureSTTService):
    """Pipecat's service, which tells of every end of the recognition, and how it came.

    Pipecat 1.14 gives errors no category, and says nothing where the recognition ends without
    one; and it ends a recognition on the event loop, where the SDK waits for the server to
    answer. A connection that breaks is mended by Azure's SDK itself, which sends again what was not
    recognised, five times within about a second; then it tells.
    """

    _is_told = False
    _is_let_go = False
    #: Tells that the recognition has begun.
    _beginning: Any = None

    async def _connect(self) -> None:
        """As Pipecat's own, which does not keep what tells that the recognition has begun."""
        if self._audio_stream:
            return
        self._is_told = self._is_let_go = False
        wire = AudioStreamFormat(samples_per_second=self.sample_rate, channels=1)
        stream = PushAudioInputStream(wire)
        try:
            recognizer = SpeechRecognizer(
                speech_config=self._speech_config, audio_config=AudioConfig(stream=stream)
            )
            recognizer.recognizing.connect(self._on_handle_recognizing)
            recognizer.recognized.connect(self._on_handle_recognized)
            recognizer.canceled.connect(self._on_handle_canceled)
            recognizer.session_stopped.connect(self._on_session_stopped)
            self._beginning = recognizer.start_continuous_recognition_async()
        except RuntimeError:
            self._tell(failure("stt", "failed", "Azure's SDK could not begin"))
            return
        self._audio_stream, self._speech_recognizer = stream, recognizer

    async def _disconnect(self) -> None:
        self._is_told = self._is_let_go = True
        recognizer, self._speech_recognizer = self._speech_recognizer, None
        stream, self._audio_stream = self._audio_stream, None
        beginning, self._beginning = self._beginning, None
        if recognizer and stream and beginning:
            let_go(partial(_end, recognizer, stream, beginning))

    # Called on threads of the SDK's: the loop may be closed once the recogniser is let go.

    def _on_handle_recognizing(self, event: Any) -> None:
        if not self._is_let_go:
            super()._on_handle_recognizing(event)  # type: ignore[no-untyped-call]

    def _on_handle_recognized(self, event: Any) -> None:
        if self._is_let_go:
            return
        super()._on_handle_recognized(event)  # type: ignore[no-untyped-call]
        if event.result.reason == ResultReason.NoMatch:
            telling = self._unheard.final("", is_answer=True)
            asyncio.run_coroutine_threadsafe(telling, self.get_event_loop())

    def _on_handle_canceled(self, event: Any) -> None:
        details = event.result.cancellation_details
        if details.reason == CancellationReason.Error:
            self._tell(cancelled("stt", details))

    def _on_session_stopped(self, _event: Any) -> None:
        self._tell(failure("stt", "dropped", "the recognition ended"))

    def _tell(self, error: ProviderError) -> None:
        """Report the first error; called on a thread of the SDK's."""
        if self._is_told:
            return
        self._is_told = True
        pushing = self.push_error(error.message, exception=error, category=category(error))
        asyncio.run_coroutine_threadsafe(pushing, self.get_event_loop())


def _end(recognizer: SpeechRecognizer, stream: PushAudioInputStream, beginning: Any) -> None:
    """End a recognition; blocks until the server has answered, for which it may take long."""
    # One that is ended, and freed, while it still begins ends the process: the SDK 1.53 then uses
    # what is no more (one in some hundred, on a busy machine).
    with suppress(RuntimeError):
        beginning.get()
    # The SDK's threads must not call into a loop that may soon be closed.
    for signal in (
        recognizer.recognizing,
        recognizer.recognized,
        recognizer.canceled,
        recognizer.session_stopped,
    ):
        signal.disconnect_all()
    stream.close()
    recognizer.stop_continuous_recognition()


def build_stt(options: AzureSTTOptions, context: ServiceContext) -> AzureSTTService:
    """A streaming recogniser for one call.

    Audio stops here: nothing behind the recogniser needs it.

    Raises:
        ConfigError: The address is none.
    """
    language: Any = context.vendor_language
    return ReportingAzureSTTService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        endpoint_id=options.endpoint_id,
        sample_rate=context.rate_hz,
        audio_passthrough=False,
        settings=AzureSTTService.Settings(
            language=language,
            profanity=options.profanity,
            segmentation_silence_timeout_ms=options.segmentation_silence_ms,
        ),
        **place("stt", options, context),
    )
