"""Whisper at Groq through Pipecat's own service, over clients that calls share."""

from pipecat.services.groq.stt import GroqSTTService

from services.context import ServiceContext
from services.groq import GroqSTTOptions
from services.openai.stt import WhisperSTTService, heard


class SharedClientGroqSTTService(WhisperSTTService, GroqSTTService):
    """Pipecat's service, as :class:`WhisperSTTService` changes it."""

    title = "Groq"


def build_stt(options: GroqSTTOptions, context: ServiceContext) -> SharedClientGroqSTTService:
    """A recogniser for one call."""
    return SharedClientGroqSTTService(
        context,
        timeout_seconds=options.timeout_seconds,
        settings=GroqSTTService.Settings(**heard(options, context, options.model)),
    )
