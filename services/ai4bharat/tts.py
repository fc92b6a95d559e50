"""AI4Bharat text-to-speech: a Pipecat synthesiser for calls, and single phrases outside them."""

from services.ai4bharat import TTS_LANGUAGES, AI4BharatTTSOptions, speaker_for
from services.ai4bharat.synthesis import Synthesiser, websocket_address
from services.context import ServiceContext
from services.parler.speech import speak
from services.parler.tts import ParlerTTSService, ParlerTTSSettings

AI4BharatTTSSettings = ParlerTTSSettings


class AI4BharatTTSService(ParlerTTSService):
    """Speaks sentence by sentence, each over a socket of its own."""


def build_tts(options: AI4BharatTTSOptions, context: ServiceContext) -> AI4BharatTTSService:
    """A synthesiser for one call; connects when it first speaks.

    Raises:
        ConfigError: The address is none.
    """
    settings = AI4BharatTTSSettings(
        model=None,
        voice=speaker_for(options.voice, context.language),
        language=context.vendor_language,
        description=options.description,
    )
    return AI4BharatTTSService(
        _synthesiser(options, context),
        languages=TTS_LANGUAGES,
        described=described,
        settings=settings,
    )


async def render(options: AI4BharatTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: The server failed or gave no audio.
        ConfigError: The address is none.
    """
    return await speak(
        _synthesiser(options, context),
        text,
        description=described(speaker_for(options.voice, context.language), options.description),
        language=context.vendor_language or "hi",
    )


def described(voice: str | None, description: str) -> str:
    """Who speaks and how, as the model's training data put it.

    >>> described("Divya", "A calm clear female voice")
    'Divya. A calm clear female voice'
    """
    return f"{voice}. {description}" if voice else description


def _synthesiser(options: AI4BharatTTSOptions, context: ServiceContext) -> Synthesiser:
    return Synthesiser(
        http=context.http,
        url=websocket_address(context.base_url),
        rate_hz=context.rate_hz,
        connect_timeout_seconds=options.connect_timeout_seconds,
        stall_timeout_seconds=options.stall_timeout_seconds,
    )
