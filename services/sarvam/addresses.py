"""Where Sarvam is, from what people write."""

from config.providers import ProviderKind
from services.connections.addresses import http_root, socket_root

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
    root = socket_root(f"{kind}.sarvam.base_url", base_url, TTS_PATH, STT_PATH, CHAT_PATH)
    return f"{root}{path}"


def chat_address(base_url: str | None, version: str) -> str:
    """The address that the chat client takes; a version that is written there stays.

    >>> chat_address("https://api.sarvam.ai", "v1")
    'https://api.sarvam.ai/v1'

    Raises:
        ConfigError: It is no address.
    """
    root = http_root("llm.sarvam.base_url", base_url, TTS_PATH, STT_PATH, CHAT_PATH)
    return root if root.endswith(("/v1", "/v2")) else f"{root}/{version}"
