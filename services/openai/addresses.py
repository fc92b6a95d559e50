"""Where a server that speaks OpenAI's protocol is, from what people write."""

from services.connections.addresses import socket_root

_REALTIME = "/realtime"


def normalised(base_url: str | None) -> str | None:
    """The address as the client wants it, from what people write.

    >>> normalised("http://localhost:8000/v1/chat/completions")
    'http://localhost:8000/v1'
    >>> normalised("http://localhost:11434")
    'http://localhost:11434/v1'
    """
    if base_url is None:
        return None
    trimmed = base_url.strip().rstrip("/")
    for path in ("/chat/completions", "/audio/transcriptions", "/audio/speech", "/realtime"):
        trimmed = trimmed.removesuffix(path)
    trimmed = trimmed.rstrip("/")
    return trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"


def realtime_address(base_url: str | None) -> str:
    """The transcription socket.

    >>> realtime_address("http://127.0.0.1:9000/v1/")
    'ws://127.0.0.1:9000/v1/realtime?intent=transcription'

    Raises:
        ConfigError: It is no address.
    """
    root = socket_root("stt.openai_realtime.base_url", base_url, _REALTIME)
    root = root if root.endswith("/v1") else f"{root}/v1"
    return f"{root}{_REALTIME}?intent=transcription"
