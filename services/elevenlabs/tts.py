"""ElevenLabs text-to-speech: Pipecat's streaming service in a call, one request outside one."""

from typing import Any, Final

import aiohttp
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.elevenlabs.tts_base import ELEVENLABS_MODEL_LANGUAGES

from config.errors import ConfigError
from services.connections.addresses import http_root, socket_root
from services.connections.bodies import MAX_SOUND_BYTES, whole_body
from services.connections.sockets import CONNECT_SECONDS, SocketFailures
from services.context import ServiceContext
from services.elevenlabs import ElevenLabsTTSOptions
from services.elevenlabs.failures import FAILURES, kind_of

#: Best first: the quickest on the telephone.
_PREFERRED: Final = ("eleven_flash_v2_5", "eleven_v3_conversational", "eleven_v4_turbo")
_LIMITS: Final = aiohttp.ClientTimeout(total=20, sock_connect=CONNECT_SECONDS, sock_read=10)


class StreamingTTSService(SocketFailures, ElevenLabsTTSService):
    """Pipecat's service, with word times.

    Pipecat's own passes over ElevenLabs' errors, and lets what still comes of an interrupted
    sentence move the clock of the next one's words.
    """

    failures = FAILURES

    def check(self, message: dict[str, Any]) -> None:
        """Let ElevenLabs' errors end the listening."""
        if word := message.get("error"):
            raise self._failure(kind_of(word), f"{word}: {message.get('message')}")

    def wanted(self, message: dict[str, Any]) -> bool:
        """Whether it belongs to what is being spoken."""
        context_id = message.get("contextId")
        return isinstance(context_id, str) and self.audio_context_available(context_id)


def build_tts(options: ElevenLabsTTSOptions, context: ServiceContext) -> StreamingTTSService:
    """A streaming synthesiser for one call, at the line's own rate.

    Raises:
        ConfigError: The address is none, or the model does not speak the language.
    """
    return StreamingTTSService(
        api_key=_key(context),
        url=_root(context),
        sample_rate=context.rate_hz,
        reconnect_on_error=False,
        settings=ElevenLabsTTSService.Settings(
            model=model_for(options, context),
            voice=options.voice,
            language=context.vendor_language,
            **_voice_settings(options),
        ),
    )


async def render(options: ElevenLabsTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ConfigError: The address is none, or the model does not speak the language.
        ProviderError: ElevenLabs refused, failed or could not be reached.
    """
    body: dict[str, Any] = {
        "text": text,
        "model_id": model_for(options, context),
        "language_code": context.vendor_language,
    }
    if voice_settings := _voice_settings(options):
        body["voice_settings"] = voice_settings
    root = http_root("tts.elevenlabs.base_url", context.base_url, "/v1")
    try:
        async with context.http.post(
            f"{root}/v1/text-to-speech/{options.voice}",
            params={"output_format": f"pcm_{context.rate_hz}"},
            json=body,
            headers={"xi-api-key": _key(context)},
            timeout=_LIMITS,
            allow_redirects=False,
        ) as answer:
            if answer.status != 200:
                raise FAILURES.refused("tts", answer.status, headers=answer.headers)
            pcm = await whole_body(answer, MAX_SOUND_BYTES)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FAILURES.failure("tts", "unreachable", type(error).__name__) from error
    if not pcm:
        raise FAILURES.failure("tts", "empty", "no sound came")
    return pcm[: len(pcm) & ~1]


def model_for(options: ElevenLabsTTSOptions, context: ServiceContext) -> str:
    """The model that was asked for, or the quickest that speaks the language.

    Raises:
        ConfigError: The one asked for does not.
    """
    language = context.vendor_language or "en"
    for model in (options.model,) if options.model else _PREFERRED:
        if language in ELEVENLABS_MODEL_LANGUAGES[model]:
            return model
    raise ConfigError(f"tts.elevenlabs.model: {options.model} does not speak {context.language}")


def _voice_settings(options: ElevenLabsTTSOptions) -> dict[str, Any]:
    given = {
        "stability": options.stability,
        "similarity_boost": options.similarity_boost,
        "style": options.style,
        "speed": options.speed,
    }
    return {name: value for name, value in given.items() if value is not None}


def _root(context: ServiceContext) -> str:
    return socket_root("tts.elevenlabs.base_url", context.base_url, "/v1")


def _key(context: ServiceContext) -> str:
    return context.api_key.get_secret_value() if context.api_key else ""
