"""Single phrases by Smallest AI, outside calls: ``POST /waves/v1/tts``."""

import io
import wave

import aiohttp

from config.errors import ProviderError
from services.connections.bodies import MAX_SOUND_BYTES, whole_body
from services.context import ServiceContext
from services.smallest import SmallestTTSOptions
from services.smallest.addresses import http_address
from services.smallest.tts import DEFAULT_VOICES, FAILURES

LIMITS = aiohttp.ClientTimeout(total=15, connect=5)


async def render(options: SmallestTTSOptions, context: ServiceContext, text: str) -> bytes:
    """Speak one phrase outside a call.

    Returns:
        16-bit little-endian mono samples at ``context.rate_hz``.

    Raises:
        ConfigError: The address is none.
        ProviderError: Smallest refused, could not be reached, or sent something else.
    """
    address = http_address(context.base_url)
    key = context.api_key.get_secret_value() if context.api_key else ""
    wanted = {
        "text": text,
        "voice_id": options.voice or DEFAULT_VOICES[options.model],
        "model": options.model,
        "language": context.vendor_language,
        "sample_rate": context.rate_hz,
        "speed": options.speed,
        "output_format": "pcm",
    }
    try:
        async with context.http.post(
            f"{address}/waves/v1/tts",
            json=wanted,
            headers={"Authorization": f"Bearer {key}", "Accept": "audio/wav"},
            timeout=LIMITS,
            allow_redirects=False,
        ) as answer:
            if answer.status != 200:
                raise FAILURES.refused("tts", answer.status, headers=answer.headers)
            return _samples(await whole_body(answer, MAX_SOUND_BYTES), context.rate_hz)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FAILURES.failure("tts", "unreachable", type(error).__name__) from error


def _samples(audio: bytes, rate_hz: int) -> bytes:
    """The samples, which one page says come bare and another as a WAV file."""
    if audio.startswith(b"RIFF"):
        try:
            with wave.open(io.BytesIO(audio)) as file:
                form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
                audio = file.readframes(file.getnframes())
        except (wave.Error, EOFError) as error:
            raise _senseless() from error
        if form != (rate_hz, 1, 2):
            raise _senseless()
    if not audio:
        raise _senseless()
    return audio[: len(audio) & ~1]


def _senseless() -> ProviderError:
    return FAILURES.failure("tts", "failed", "what came is no speech at the line's rate")
