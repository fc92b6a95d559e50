"""AI4Bharat speech-to-text in a call: collects an utterance between pauses, and has it read."""

from services.ai4bharat import STT_LANGUAGES, AI4BharatSTTOptions
from services.ai4bharat.failures import FAILURES
from services.ai4bharat.transcription import Transcriber, server_address
from services.context import ServiceContext
from services.hearing.utterance_stt import UtteranceSTTService
from services.hearing.utterances import Whole

#: From the end of speech to its text: 200 ms until the pause is noticed, 100 ms batch interval
#: of the server, the rest for the model. An estimate.
TTFS_P99_SECONDS = 1.0


class AI4BharatSTTService(UtteranceSTTService):
    """Sends what was said between two pauses, and pushes what the server read."""


class Posted(Whole):
    """An utterance that is sent in one request.

    Args:
        rate_hz: Of its audio.
        transcriber: The server.
        language: The server's code.
    """

    def __init__(self, rate_hz: int, transcriber: Transcriber, language: str) -> None:
        super().__init__(rate_hz)
        self._transcriber = transcriber
        self._language = language

    async def read(self, pcm: bytes) -> str:
        """See the base class."""
        return await self._transcriber.transcribe(
            pcm, rate_hz=self.rate_hz, language=self._language
        )


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
        lambda language: Posted(context.rate_hz, transcriber, language),
        language=context.vendor_language or "hi",
        languages=STT_LANGUAGES,
        failures=FAILURES,
        ttfs_p99_seconds=TTFS_P99_SECONDS,
        rate_hz=context.rate_hz,
        max_speech_seconds=options.max_speech_seconds,
    )
