"""Google Cloud text-to-speech: Pipecat's own service in a call, the same stream outside one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud import texttospeech_v1
from google.cloud.texttospeech_v1.services.text_to_speech.transports import (
    TextToSpeechGrpcAsyncIOTransport,
)
from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.services.google.tts import GoogleTTSService
from pipecat.utils.errors import ErrorCategory

from services.connections.clients import SharedClients
from services.context import ServiceContext
from services.failures import category
from services.google import GoogleTTSOptions
from services.google.channels import make_client, server
from services.google.failures import cloud_category, failure

#: Longest that one sentence may take altogether, and longest wait for a piece of it.
SENTENCE_SECONDS = 30.0
PIECE_SECONDS = 5.0


class ImpatientClient(texttospeech_v1.TextToSpeechAsyncClient):
    """Google's client, which by itself would try again for five minutes."""

    async def streaming_synthesize(self, requests: Any = None, **_more: Any) -> AsyncIterable[Any]:
        """Speak, once."""
        answers: AsyncIterable[Any] = await super().streaming_synthesize(
            requests, retry=None, timeout=SENTENCE_SECONDS
        )
        return answers


clients: SharedClients[ImpatientClient] = SharedClients(
    lambda address, path: make_client(
        ImpatientClient, TextToSpeechGrpcAsyncIOTransport, str(address), path
    ),
    lambda client: client.transport.close(),  # type: ignore[no-untyped-call]
)


class ReportingGoogleTTSService(GoogleTTSService):
    """Pipecat's service with a shared client, errors of a known kind and a limit on waits."""

    def __init__(self, client: ImpatientClient, **arguments: Any) -> None:
        self._shared_client = client
        super().__init__(**arguments)

    def _create_client(
        self, credentials: str | None, credentials_path: str | None
    ) -> ImpatientClient:
        return self._shared_client

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return cloud_category(exception)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak one sentence, or tell what went wrong."""
        frames = super().run_tts(text, context_id)
        try:
            while True:
                async with asyncio.timeout(PIECE_SECONDS):
                    frame = await anext(frames, None)
                if frame is None:
                    return
                yield frame
        except TimeoutError:
            error = failure("tts", "timeout", "the sound stopped coming")
            yield ErrorFrame(error=error.message, exception=error, category=category(error))


def build_tts(options: GoogleTTSOptions, context: ServiceContext) -> GoogleTTSService:
    """A streaming synthesiser for one call, at the line's own rate.

    Raises:
        ConfigError: The address is none, or the key file cannot be used.
    """
    language: Any = context.vendor_language
    return ReportingGoogleTTSService(
        _client(context),
        sample_rate=context.rate_hz,
        settings=GoogleTTSService.Settings(
            language=language,
            voice=voice_name(options.voice, str(language)),
            speaking_rate=options.speaking_rate,
        ),
    )


def voice_name(voice: str, language: str) -> str:
    """The whole name of a voice.

    >>> voice_name("Kore", "hi-IN")
    'hi-IN-Chirp3-HD-Kore'
    """
    return voice if "-" in voice else f"{language}-Chirp3-HD-{voice}"


async def render(options: GoogleTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: Google refused or could not be reached.
    """
    language = str(context.vendor_language)
    config = texttospeech_v1.StreamingSynthesizeConfig(
        voice=texttospeech_v1.VoiceSelectionParams(
            language_code=language, name=voice_name(options.voice, language)
        ),
        streaming_audio_config=texttospeech_v1.StreamingAudioConfig(
            audio_encoding=texttospeech_v1.AudioEncoding.PCM,
            sample_rate_hertz=context.rate_hz,
            speaking_rate=options.speaking_rate,
        ),
    )

    async def requests() -> AsyncGenerator[texttospeech_v1.StreamingSynthesizeRequest, None]:
        yield texttospeech_v1.StreamingSynthesizeRequest(streaming_config=config)
        yield texttospeech_v1.StreamingSynthesizeRequest(
            input=texttospeech_v1.StreamingSynthesisInput(text=text)
        )

    try:
        answers = await _client(context).streaming_synthesize(requests())
        pcm = b"".join([answer.audio_content async for answer in answers])
    except (GoogleAPICallError, GoogleAuthError) as error:
        kinds = {
            ErrorCategory.AUTHENTICATION: "auth",
            ErrorCategory.AUTHORIZATION: "auth",
            ErrorCategory.RATE_LIMIT: "busy",
            ErrorCategory.CONNECTIVITY: "unreachable",
            ErrorCategory.INVALID_REQUEST: "refused",
        }
        kind = kinds.get(cloud_category(error) or ErrorCategory.SERVER, "failed")
        words = type(error).__name__
        raise failure("tts", kind, words, retryable=kind not in ("auth", "refused")) from error
    return pcm[: len(pcm) & ~1]


def _client(context: ServiceContext) -> ImpatientClient:
    path = context.api_key.get_secret_value() if context.api_key else ""
    return clients.get(server("tts", context.base_url), path)
