"""Where Smallest AI is, from what people write."""

from urllib.parse import urlsplit, urlunsplit

from config.errors import ConfigError

_PATHS = ("/waves/v1/tts/live", "/waves/v1/tts", "/waves/v1")


def server_address(base_url: str | None, *, secure: str, plain: str) -> str:
    """The server's root.

    Args:
        secure: Scheme to give an encrypted address.
        plain: Scheme to give any other.

    >>> server_address("wss://api.smallest.ai/waves/v1/tts/live", secure="https", plain="http")
    'https://api.smallest.ai'

    Raises:
        ConfigError: It is no address.
    """
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(f"tts.smallest.base_url must begin with https:// or wss://: {base_url}")
    path = parts.path.rstrip("/")
    for known in _PATHS:
        path = path.removesuffix(known)
    scheme = secure if parts.scheme in ("https", "wss") else plain
    return urlunsplit((scheme, parts.netloc, path, "", ""))
