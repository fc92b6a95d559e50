"""Sarvam text-to-speech through Pipecat's own streaming service."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pipecat.services.sarvam.tts import SarvamTTSService

from config.errors import ConfigError
from services.context import ServiceContext
from services.sarvam import SarvamTTSOptions

_PATH = "/text-to-speech/ws"


def build_tts(options: SarvamTTSOptions, context: ServiceContext) -> SarvamTTSService:
    """A streaming synthesiser for one call, at the line's own rate.

    Raises:
        ConfigError: The address is none.
    """
    given: dict[str, Any] = {
        "model": options.model,
        "language": context.vendor_language,
        "voice": options.voice,
        "pace": options.pace,
        "temperature": options.temperature,
        "pitch": options.pitch,
        "loudness": options.loudness,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    return SarvamTTSService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        url=websocket_url(context.base_url),
        # Without it, 24 kHz whatever the pipeline's rate.
        sample_rate=context.rate_hz,
        settings=SarvamTTSService.Settings(**settings),
    )


def websocket_url(base_url: str | None) -> str:
    """The synthesis socket below an HTTP or WebSocket address.

    >>> websocket_url("http://127.0.0.1:9000/")
    'ws://127.0.0.1:9000/text-to-speech/ws'

    Raises:
        ConfigError: It is no address.
    """
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(f"tts.sarvam.base_url must begin with https:// or wss://: {base_url}")
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    path = parts.path.rstrip("/").removesuffix(_PATH)
    return urlunsplit((scheme, parts.netloc, f"{path}{_PATH}", "", ""))
