"""What Cartesia's text-to-speech accepts, and what it says of anything else.

Fields as in Cartesia's SDK 4.2 (API version 2026-08-14) and its documentation of contexts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulators.base import names
from simulators.tone import BYTES_PER_SAMPLE

_COMMON: Final = names(
    "model_id transcript voice language locale output_format generation_config"
    " pronunciation_dict_id speed normalization duration"
)
_STREAMED: Final = names("add_timestamps add_phoneme_timestamps use_normalized_timestamps")
_WEBSOCKET: Final = names("context_id continue flush max_buffer_delay_ms")
FIELDS: Final = {
    "websocket": _COMMON | _STREAMED | _WEBSOCKET,
    "bytes": _COMMON | {"save"},
    "sse": _COMMON | _STREAMED | {"context_id"},
}
_CONTAINERS: Final = {"websocket": {"raw"}, "sse": {"raw"}, "bytes": {"raw", "wav"}}
RATES_HZ: Final = frozenset({8000, 16000, 22050, 24000, 44100, 48000})
_SONIC_2: Final = names("en fr de es pt zh ja hi it ko nl pl ru sv tr")
_SONIC_3: Final = _SONIC_2 | names(
    "tl bg ro ar cs el fi hr ms sk da ta uk hu no vi bn th he ka id te gu kn ml mr pa or ur"
)
_MODEL: Final = re.compile(r"sonic-(?:latest|turbo|2|3(?:\.[56])?)(?:-\d{4}-\d\d-\d\d)?")
_LOCALE: Final = re.compile(r"([a-z]{2})(?:-[A-Z]{2})?")
_CHANGING: Final = names("transcript continue duration context_id flush")
_SPEEDS: Final = names("slow normal fast")
DEFAULT_BUFFER_MS: Final = 3000
LONGEST_BUFFER_MS: Final = 5000


class InvalidRequest(ValueError):
    """A request that is answered with an error.

    Attributes:
        title: Short summary.
        error_code: Machine-readable code, or None.
        status: HTTP-like status.
    """

    def __init__(
        self, title: str, message: str, *, error_code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.title = title
        self.error_code = error_code
        self.status = status


@dataclass(frozen=True, slots=True)
class Generation:
    """A valid request to speak.

    Attributes:
        fixed: The fields that may not change within a context.
        buffer_ms: How long text may wait for more.
    """

    transcript: str
    context_id: str
    continues: bool
    flush: bool
    encoding: str
    rate_hz: int
    container: str
    speed: float
    language: str
    voice: str
    add_timestamps: bool
    buffer_ms: int
    fixed: Mapping[str, Any]


def parse_generation(body: Any, door: str) -> Generation:
    """Check a request to speak.

    Args:
        body: Decoded JSON.
        door: ``websocket``, ``bytes`` or ``sse``.

    Raises:
        InvalidRequest: What is wrong with it.
    """
    if not isinstance(body, dict):
        raise bad_request("The request must be a JSON object.")
    unknown = sorted(set(body) - FIELDS[door])
    if unknown:
        raise bad_request(f"Unknown field: {unknown[0]}")
    transcript = body.get("transcript")
    if not isinstance(transcript, str):
        raise bad_request("transcript must be a string.")
    model = body.get("model_id")
    if not isinstance(model, str) or not _MODEL.fullmatch(model):
        raise InvalidRequest(
            "Invalid model",
            "The model is not valid, make sure it is a valid model ID.",
            error_code="model_not_found",
        )
    container, encoding, rate_hz = _output_format(body.get("output_format"), door)
    _check_types(body)
    return Generation(
        transcript=transcript,
        context_id=_context_id(body, door),
        continues=body.get("continue") is True,
        flush=body.get("flush") is True,
        encoding=encoding,
        rate_hz=rate_hz,
        container=container,
        speed=_speed(body.get("generation_config")),
        language=_language(body, model),
        voice=_voice(body.get("voice")),
        add_timestamps=body.get("add_timestamps") is True,
        buffer_ms=_buffer_ms(body.get("max_buffer_delay_ms")),
        fixed={name: value for name, value in body.items() if name not in _CHANGING},
    )


def bad_request(message: str) -> InvalidRequest:
    """The error for a request that is malformed."""
    return InvalidRequest("Bad request", message, error_code="invalid_request")


def _output_format(value: Any, door: str) -> tuple[str, str, int]:
    if not isinstance(value, dict):
        raise bad_request("output_format is required.")
    container, encoding = value.get("container"), value.get("encoding")
    rate_hz = value.get("sample_rate")
    if container not in _CONTAINERS[door]:
        raise bad_request(f"Invalid output_format.container: {container!r}")
    if encoding not in BYTES_PER_SAMPLE:
        raise bad_request(f"Invalid output_format.encoding: {encoding!r}")
    if isinstance(rate_hz, bool) or rate_hz not in RATES_HZ:
        raise bad_request(f"Invalid output_format.sample_rate: {rate_hz!r}")
    return str(container), str(encoding), int(rate_hz)


def _check_types(body: Mapping[str, Any]) -> None:
    for name in ("continue", "flush", "save", *_STREAMED):
        if not isinstance(body.get(name), bool | None):
            raise bad_request(f"{name} must be true or false.")
    if body.get("speed") is not None and body["speed"] not in _SPEEDS:
        raise bad_request(f"Invalid speed: {body['speed']!r}")


def _context_id(body: Mapping[str, Any], door: str) -> str:
    context_id = body.get("context_id")
    if door == "websocket" and (not isinstance(context_id, str) or not context_id):
        raise bad_request("context_id is required.")
    return context_id if isinstance(context_id, str) else ""


def _voice(voice: Any) -> str:
    found = voice
    if isinstance(voice, dict):
        if voice.get("mode", "id") != "id":
            raise bad_request("Embeddings are not accepted in this API version.")
        found = voice.get("id")
    if not isinstance(found, str) or not found:
        raise InvalidRequest(
            "Invalid voice", "A voice ID is required.", error_code="voice_not_found"
        )
    return found


def _language(body: Mapping[str, Any], model: str) -> str:
    if body.get("language") is not None and body.get("locale") is not None:
        raise bad_request("Set language or locale, never both.")
    wanted = body.get("language") or body.get("locale") or "en"
    match = _LOCALE.fullmatch(wanted) if isinstance(wanted, str) else None
    languages = _SONIC_2 if model.startswith(("sonic-2", "sonic-turbo")) else _SONIC_3
    if match is None or match[1] not in languages:
        raise InvalidRequest(
            "Unsupported language",
            f"The model {model} does not support the language {wanted!r}.",
            error_code="language_not_supported",
        )
    return str(wanted)


def _speed(config: Any) -> float:
    if config is None:
        return 1.0
    if not isinstance(config, dict) or not set(config) <= {"speed", "volume", "emotion"}:
        raise bad_request("Invalid generation_config.")
    for name, lowest, highest in (("speed", 0.6, 1.5), ("volume", 0.5, 2.0)):
        value = config.get(name, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad_request(f"generation_config.{name} must be a number.")
        if not lowest <= value <= highest:
            raise bad_request(f"generation_config.{name} must be in {lowest:g} to {highest:g}.")
    return float(config.get("speed", 1.0))


def _buffer_ms(value: Any) -> int:
    if value is None:
        return DEFAULT_BUFFER_MS
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_request("max_buffer_delay_ms must be a whole number.")
    if not 0 <= value <= LONGEST_BUFFER_MS:
        raise bad_request(f"max_buffer_delay_ms must be in 0 to {LONGEST_BUFFER_MS}.")
    return value
