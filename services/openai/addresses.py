"""Where a server that speaks OpenAI's protocol is, from what people write."""

from urllib.parse import urlsplit, urlunsplit

from config.errors import ConfigError

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
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(
            f"stt.openai_realtime.base_url must begin with https:// or wss://: {base_url}"
        )
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    path = parts.path.rstrip("/").removesuffix(_REALTIME)
    path = path if path.endswith("/v1") else f"{path}/v1"
    return urlunsplit((scheme, parts.netloc, f"{path}{_REALTIME}", "intent=transcription", ""))
