"""Deepgram speech-to-text through Pipecat's own service."""

from typing import Any
from urllib.parse import urlsplit

from pipecat.services.deepgram.stt import DeepgramSTTService

from config.errors import ConfigError
from services.context import ServiceContext
from services.deepgram import DeepgramSTTOptions


def build_stt(options: DeepgramSTTOptions, context: ServiceContext) -> DeepgramSTTService:
    """A streaming recogniser for one call.

    Audio stops here: nothing behind the recogniser needs it.

    Raises:
        ConfigError: The address is none. Pipecat would silently use the public one instead.
    """
    base_url = context.base_url or ""
    if urlsplit(base_url).scheme not in ("http", "https", "ws", "wss"):
        raise ConfigError(f"stt.deepgram.base_url must begin with https:// or wss://: {base_url}")
    settings: dict[str, Any] = {
        "model": options.model,
        "language": context.vendor_language,
        "interim_results": True,
        "smart_format": options.smart_format,
        "punctuate": options.punctuate,
        "numerals": options.numerals,
        "profanity_filter": options.profanity_filter,
        "endpointing": options.endpointing_ms,
    }
    if options.keyterms:
        settings["keyterm"] = list(options.keyterms)
    return DeepgramSTTService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        base_url=base_url,
        sample_rate=context.rate_hz,
        audio_passthrough=False,
        settings=DeepgramSTTService.Settings(**settings),
    )
