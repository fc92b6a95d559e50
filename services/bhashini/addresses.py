"""Where Bhashini's doors are, from what people write."""

from urllib.parse import urlsplit, urlunsplit

from config.errors import ConfigError
from config.providers import ProviderKind

_PIPELINE = "/services/inference/pipeline"
_STREAM = "/ws/v1/asr/stream"


def pipeline_address(base_url: str | None, kind: ProviderKind) -> str:
    """The compute door of the ULCA pipeline.

    >>> pipeline_address("wss://bhashini.example/ws/v1/asr/stream", "stt")
    'https://bhashini.example/services/inference/pipeline'

    Raises:
        ConfigError: It is no address.
    """
    return _door(base_url, kind, _PIPELINE, secure="https", plain="http")


def stream_address(base_url: str | None) -> str:
    """The WebSocket of the streaming recogniser.

    >>> stream_address("http://127.0.0.1:9000")
    'ws://127.0.0.1:9000/ws/v1/asr/stream'

    Raises:
        ConfigError: It is no address.
    """
    return _door(base_url, "stt", _STREAM, secure="wss", plain="ws")


def _door(base_url: str | None, kind: ProviderKind, path: str, *, secure: str, plain: str) -> str:
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(
            f"{kind}.bhashini.base_url must begin with https:// or wss://: {base_url}"
        )
    scheme = secure if parts.scheme in ("https", "wss") else plain
    root = parts.path.rstrip("/").removesuffix(_PIPELINE).removesuffix(_STREAM)
    return urlunsplit((scheme, parts.netloc, f"{root}{path}", "", ""))
