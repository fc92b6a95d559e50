"""Where Sarvam is, from what people write."""

from urllib.parse import urlsplit, urlunsplit

from config.errors import ConfigError
from config.providers import ProviderKind

TTS_PATH = "/text-to-speech/ws"
STT_PATH = "/speech-to-text-realtime/ws"
CHAT_PATH = "/chat/completions"


def socket_address(base_url: str | None, kind: ProviderKind, path: str) -> str:
    """A socket below an HTTP or WebSocket address.

    >>> socket_address("http://127.0.0.1:9000/", "tts", TTS_PATH)
    'ws://127.0.0.1:9000/text-to-speech/ws'

    Raises:
        ConfigError: It is no address.
    """
    scheme, host, root = _parts(base_url, kind)
    return urlunsplit(("wss" if scheme else "ws", host, f"{root}{path}", "", ""))


def chat_address(base_url: str | None, version: str) -> str:
    """The address that the chat client takes; a version that is written there stays.

    >>> chat_address("https://api.sarvam.ai", "v1")
    'https://api.sarvam.ai/v1'

    Raises:
        ConfigError: It is no address.
    """
    scheme, host, root = _parts(base_url, "llm")
    path = root if root.endswith(("/v1", "/v2")) else f"{root}/{version}"
    return urlunsplit(("https" if scheme else "http", host, path, "", ""))


def _parts(base_url: str | None, kind: ProviderKind) -> tuple[bool, str, str]:
    """Whether it is encrypted, the host, and the path without what is Sarvam's own."""
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(f"{kind}.sarvam.base_url must begin with https:// or wss://: {base_url}")
    path = parts.path.rstrip("/")
    for known in (TTS_PATH, STT_PATH, CHAT_PATH):
        path = path.removesuffix(known)
    return parts.scheme in ("https", "wss"), parts.netloc, path
