"""Google Cloud speech-to-text through Pipecat's own service, over clients that calls share."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pipecat.services.google.stt as pipecat_google
from google.api_core.exceptions import Aborted
from google.cloud.speech_v2 import SpeechAsyncClient
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
from google.cloud.speech_v2.types import cloud_speech
from pipecat.frames.frames import Frame
from pipecat.services.google.stt import GoogleSTTService
from pipecat.utils.errors import ErrorCategory

from services.connections.clients import SharedClients
from services.context import ServiceContext
from services.google import GoogleSTTOptions
from services.google.channels import make_client, project_of, server
from services.google.failures import cloud_category, failure
from services.hearing.unheard import TellsUnheard

#: Google ends a stream after 305 s. From the first on, a new one is begun between two
#: utterances; at the last in any case.
ROLL_SECONDS = 240.0
ROLL_AT_LAST_SECONDS = 290.0
#: Pieces of audio that may wait for a server that takes none: 10 s of 40 ms. Whoever holds the
#: service has as much, and gives it to the next.
MAX_WAITING = 250

clients: SharedClients[SpeechAsyncClient] = SharedClients(
    lambda address, path: make_client(
        SpeechAsyncClient, SpeechGrpcAsyncIOTransport, str(address), path
    ),
    lambda client: client.transport.close(),  # type: ignore[no-untyped-call]
)


class ReportingGoogleSTTService(TellsUnheard, GoogleSTTService):
    """Pipecat's service with a shared client, which fails once and says so.

    Pipecat 1.14 tries again for ever, says nothing where the server ends the stream, loses what
    is on its way when it begins a new stream, and keeps all audio of a stream in memory. Google
    does not answer where it understood nothing.
    """

    #: Pipecat's own way to a new stream is not to be taken.
    STREAMING_LIMIT = 10**12

    def __init__(
        self, client: SpeechAsyncClient, project: str, language: str, **arguments: Any
    ) -> None:
        with _lent(client, project):
            super().__init__(**arguments)
        self._vendor_language = language
        self._is_told = False

    def _get_language_codes(self) -> list[str]:
        return [self._vendor_language]

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return cloud_category(exception)

    async def push_error(
        self,
        error_msg: str,
        exception: Exception | None = None,
        fatal: bool = False,
        category: ErrorCategory | None = None,
        force_treat_as_permanent: bool = False,
    ) -> None:
        """Report the first failure; what follows from it is no news."""
        if not self._is_told:
            self._is_told = True
            await super().push_error(
                error_msg, exception, fatal, category, force_treat_as_permanent
            )

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Queue audio, unless nobody would take it."""
        if self._streaming_task and not self._is_told:
            self._request_queue.put_nowait(audio)
            if self._request_queue.qsize() > MAX_WAITING:
                await self.push_error(
                    "Google stt: the server takes no audio", category=ErrorCategory.CONNECTIVITY
                )
        yield None

    async def _stream_audio(self) -> None:
        """Stream after stream, until one fails."""
        while not self._is_told:
            self._rolled = False
            self._last_transcript_was_final = True
            waiting: bytes = await self._request_queue.get()
            try:
                responses = await self._client.streaming_recognize(
                    requests=self._requests(waiting), retry=None, timeout=None
                )
                await self._process_responses(responses)  # type: ignore[no-untyped-call]
                if not self._rolled:
                    raise failure("stt", "dropped", "the server ended the stream")
            except Aborted as error:
                if not self._request_queue.empty():
                    await self.push_error(f"Google stt: {error.message}", exception=error)
                # Else nothing was sent for 10 s, and the next audio begins a new stream.
            except Exception as error:  # Whatever it is, the call must hear of it.
                await self.push_error(f"Google stt: {error}", exception=error)

    async def _requests(
        self, first: bytes
    ) -> AsyncIterator[cloud_speech.StreamingRecognizeRequest]:
        name = f"projects/{self._project_id}/locations/{self._location}/recognizers/_"
        yield cloud_speech.StreamingRecognizeRequest(recognizer=name, streaming_config=self._config)
        yield cloud_speech.StreamingRecognizeRequest(audio=first)
        began = time.monotonic()
        while True:
            seconds = time.monotonic() - began
            is_pause = self._last_transcript_was_final and seconds >= ROLL_SECONDS
            if is_pause or seconds >= ROLL_AT_LAST_SECONDS:
                self._rolled = True
                return
            yield cloud_speech.StreamingRecognizeRequest(audio=await self._request_queue.get())


@contextmanager
def _lent(client: SpeechAsyncClient, project: str) -> Iterator[None]:
    """While Pipecat's constructor runs, which never awaits, it finds a client instead of making
    one, which would read certificates and the key file on the event loop with every call."""
    names = vars(pipecat_google)
    kept = {name: names[name] for name in ("default", "speech_v2")}
    names["default"] = lambda **_: (SimpleNamespace(), project)
    names["speech_v2"] = SimpleNamespace(SpeechAsyncClient=lambda **_: client)
    try:
        yield
    finally:
        names.update(kept)


def build_stt(options: GoogleSTTOptions, context: ServiceContext) -> GoogleSTTService:
    """A streaming recogniser for one call.

    Audio stops here: nothing behind the recogniser needs it.

    Raises:
        ConfigError: The address is none, or the key file cannot be used.
    """
    path = context.api_key.get_secret_value() if context.api_key else ""
    address = server("stt", context.base_url, options.location)
    return ReportingGoogleSTTService(
        clients.get(address, path),
        options.project or project_of(path, address),
        str(context.vendor_language),
        location=options.location,
        sample_rate=context.rate_hz,
        audio_passthrough=False,
        settings=GoogleSTTService.Settings(
            model=options.model,
            enable_automatic_punctuation=options.punctuate,
            profanity_filter=options.profanity_filter,
        ),
    )
