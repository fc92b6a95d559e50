"""Deepgram speech-to-text through Pipecat's own service."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pipecat.services.deepgram.stt as pipecat_deepgram
from pipecat.services.deepgram.stt import DeepgramSTTService

from config.errors import ConfigError
from services.clients import SharedClients
from services.context import ServiceContext
from services.deepgram import DeepgramSTTOptions

http_clients: SharedClients[httpx.AsyncClient] = SharedClients(
    lambda _base_url, _api_key: httpx.AsyncClient(), lambda client: client.aclose()
)


class LeanDeepgramSTTService(DeepgramSTTService):
    """Pipecat's service without an HTTP client of its own.

    Deepgram's package makes one with every client, 30 ms on the event loop, and live
    recognition, which is a WebSocket, never uses it. Pipecat 1.14 offers no way to hand one in.
    """

    def __init__(self, **arguments: Any) -> None:
        with _shared_http_client():
            super().__init__(**arguments)


@contextmanager
def _shared_http_client() -> Iterator[None]:
    """While Pipecat's constructor runs, which never awaits, its clients share one for HTTP."""
    names = vars(pipecat_deepgram)
    original = names["AsyncDeepgramClient"]
    names["AsyncDeepgramClient"] = partial(original, httpx_client=http_clients.get(None, ""))
    try:
        yield
    finally:
        names["AsyncDeepgramClient"] = original


def build_stt(options: DeepgramSTTOptions, context: ServiceContext) -> DeepgramSTTService:
    """A streaming recogniser for one call.

    Audio stops here: nothing behind the recogniser needs it.

    Raises:
        ConfigError: The address is none. Pipecat would silently use the public one instead.
    """
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
    return LeanDeepgramSTTService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        base_url=server_address(context.base_url),
        sample_rate=context.rate_hz,
        audio_passthrough=False,
        settings=DeepgramSTTService.Settings(**settings),
    )


def server_address(base_url: str | None) -> str:
    """The server's root, from what people write.

    >>> server_address("wss://api.in.deepgram.com/v1/listen")
    'wss://api.in.deepgram.com'

    Raises:
        ConfigError: It is no address.
    """
    trimmed = (base_url or "").strip().rstrip("/")
    for path in ("/listen", "/v1"):
        trimmed = trimmed.removesuffix(path)
    parts = urlsplit(trimmed)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(f"stt.deepgram.base_url must begin with https:// or wss://: {base_url}")
    return trimmed
