"""Where Bhashini's doors are, from what people write."""

from config.providers import ProviderKind
from services.connections.addresses import http_root, socket_root

_PIPELINE = "/services/inference/pipeline"
_STREAM = "/ws/v1/asr/stream"


def pipeline_address(base_url: str | None, kind: ProviderKind) -> str:
    """The compute door of the ULCA pipeline.

    >>> pipeline_address("wss://bhashini.example/ws/v1/asr/stream", "stt")
    'https://bhashini.example/services/inference/pipeline'

    Raises:
        ConfigError: It is no address.
    """
    return f"{http_root(f'{kind}.bhashini.base_url', base_url, _PIPELINE, _STREAM)}{_PIPELINE}"


def stream_address(base_url: str | None) -> str:
    """The WebSocket of the streaming recogniser.

    >>> stream_address("http://127.0.0.1:9000")
    'ws://127.0.0.1:9000/ws/v1/asr/stream'

    Raises:
        ConfigError: It is no address.
    """
    return f"{socket_root('stt.bhashini.base_url', base_url, _PIPELINE, _STREAM)}{_STREAM}"
