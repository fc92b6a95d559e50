"""What Smallest AI takes for a request, by its specifications of the Waves API."""

from typing import Any, Final

from simulators.base import names

LANGUAGES: Final = names("ar bn de en es fr gu hi it kn ml mr or pa ta te")
MODELS: Final = names("lightning_v3.1 lightning_v3.1_pro")
_COMMON: Final = names("text voice_id model language sample_rate speed output_format")
_SOCKET: Final = _COMMON | names(
    "context_id continue flush max_buffer_delay_ms word_timestamps math_notation content_filter"
)
_RATES_HZ: Final = (8_000, 16_000, 24_000, 44_100)
_MAX_DELAY_MS: Final = 5000


class WrongRequest(Exception):
    """A request that is refused."""


def checked(body: Any, *, over_socket: bool) -> dict[str, Any]:
    """A valid request.

    Raises:
        WrongRequest: What is wrong with it.
    """
    if not isinstance(body, dict):
        raise WrongRequest("not an object")
    if unknown := sorted(set(body) - (_SOCKET if over_socket else _COMMON)):
        raise WrongRequest(f"unknown fields: {unknown}")
    if not isinstance(body.get("text"), str):
        raise WrongRequest("the 'text' field is required")
    if not isinstance(body.get("voice_id"), str) or not body["voice_id"]:
        raise WrongRequest("the 'voice_id' field is required")
    if body.get("model", "lightning_v3.1") not in MODELS:
        raise WrongRequest(f"model: {body['model']!r}")
    if body.get("language", "en") not in LANGUAGES:
        raise WrongRequest(f"language: {body['language']!r}")
    if body.get("sample_rate", 44_100) not in _RATES_HZ:
        raise WrongRequest(f"sample_rate: {body['sample_rate']!r}")
    if not 0.5 <= body.get("speed", 1.0) <= 2.0:
        raise WrongRequest(f"speed: {body['speed']!r}")
    if body.get("output_format", "pcm") != "pcm":
        raise WrongRequest(f"output_format {body['output_format']!r} isn't simulated")
    if not 0 <= body.get("max_buffer_delay_ms", 3000) <= _MAX_DELAY_MS:
        raise WrongRequest(f"max_buffer_delay_ms: {body['max_buffer_delay_ms']!r}")
    return body
