"""Cartesia text-to-speech: Pipecat's own service in a call, the bytes interface outside one.

Wire facts: docs.cartesia.ai, WebSocket and contexts. A socket without messages is closed after
five minutes.
"""

from typing import Any

from cartesia import APIConnectionError, APIError, APIStatusError, AsyncCartesia
from pipecat.services.cartesia.tts import CartesiaTTSService, GenerationConfig

from config.errors import ProviderError
from services.cartesia import CartesiaTTSOptions
from services.connections.addresses import http_root, socket_root
from services.connections.clients import SharedClients
from services.connections.sockets import SpeakingSocketFailures, kind_of_status
from services.context import ServiceContext
from services.failures import Failures

RENDER_SECONDS = 15.0
FAILURES = Failures("cartesia", "Cartesia")
_SETTING = "tts.cartesia.base_url"
_PATH = "/tts/websocket"
_MAX_CHARS = 200


def _make_client(base_url: str | None, api_key: str) -> AsyncCartesia:
    return AsyncCartesia(api_key=api_key, base_url=base_url, timeout=RENDER_SECONDS, max_retries=1)


clients: SharedClients[AsyncCartesia] = SharedClients(_make_client, lambda client: client.close())


class PromptCartesiaTTSService(SpeakingSocketFailures, CartesiaTTSService):
    """Pipecat's service, which tells of each failure at once and with its cause.

    Pipecat connects anew without a word when the socket is lost; what was being spoken then is
    lost with it, and half a sentence passes for the whole.
    """

    failures = FAILURES

    def check(self, message: dict[str, Any]) -> None:
        """Let Cartesia's errors end the listening."""
        if message.get("type") == "error":
            told = message.get("message") or message.get("error") or "an error"
            status = message.get("status_code") or message.get("status")
            raise self._failure(kind_of_status(status), str(told)[:_MAX_CHARS])

    async def _receive_messages(self) -> None:
        while True:
            await self._process_messages()  # type: ignore[no-untyped-call]
            if self.has_active_audio_context():
                raise self._failure("dropped", "the server closed the connection")
            # Nothing was said for long.
            await self._connect_websocket()  # type: ignore[no-untyped-call]
            if self._websocket is None:
                return


def build_tts(options: CartesiaTTSOptions, context: ServiceContext) -> PromptCartesiaTTSService:
    """A streaming synthesiser for one call, at the line's own rate and with word times."""
    settings: dict[str, Any] = {
        "model": options.model,
        "voice": options.voice,
        "language": context.vendor_language,
    }
    if generation := _generation(options):
        settings["generation_config"] = GenerationConfig(**generation)
    return PromptCartesiaTTSService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        url=websocket_url(context.base_url),
        sample_rate=context.rate_hz,
        reconnect_on_error=False,
        settings=CartesiaTTSService.Settings(**settings),
    )


async def render(options: CartesiaTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ProviderError: Cartesia refused or could not be reached.
    """
    request: dict[str, Any] = {
        "model_id": options.model,
        "transcript": text,
        "voice": {"mode": "id", "id": options.voice},
        "language": context.vendor_language,
        "output_format": {
            "container": "raw",
            "encoding": "pcm_s16le",
            "sample_rate": context.rate_hz,
        },
    }
    if generation := _generation(options):
        request["generation_config"] = generation
    client = clients.get(
        http_root(_SETTING, context.base_url, _PATH),
        context.api_key.get_secret_value() if context.api_key else "",
    )
    try:
        response = await client.tts.generate(**request)
        pcm: bytes = await response.read()
    except APIError as error:
        raise _mapped(error) from error
    return pcm[: len(pcm) & ~1]


def websocket_url(base_url: str | None) -> str:
    """The synthesis socket below an HTTP or WebSocket address.

    >>> websocket_url("http://127.0.0.1:9000/")
    'ws://127.0.0.1:9000/tts/websocket'

    Raises:
        ConfigError: It is no address.
    """
    return f"{socket_root(_SETTING, base_url, _PATH)}{_PATH}"


def _generation(options: CartesiaTTSOptions) -> dict[str, Any]:
    values = {"speed": options.speed, "volume": options.volume, "emotion": options.emotion}
    return {name: value for name, value in values.items() if value is not None}


def _mapped(error: APIError) -> ProviderError:
    """Cartesia's errors as ours; only what may pass by itself is worth another try."""
    code, retryable = "tts_failed", True
    if isinstance(error, APIConnectionError):
        code = "tts_unreachable"
    elif isinstance(error, APIStatusError):
        status = error.status_code
        code = {401: "tts_auth", 403: "tts_auth", 429: "tts_busy"}.get(status, "tts_failed")
        retryable = status in (408, 429) or status >= 500
    return ProviderError(
        code,
        f"Cartesia: {type(error).__name__}",
        provider="cartesia",
        stage="tts",
        retryable=retryable,
    )
