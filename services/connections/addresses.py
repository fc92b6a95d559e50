"""Vendors' addresses, from what people write."""

from urllib.parse import urlsplit, urlunsplit

from config.errors import ConfigError


def socket_root(setting: str, base_url: str | None, *ends: str) -> str:
    """A vendor's root for WebSockets.

    Args:
        setting: What to call it in the error.
        base_url: An HTTP or WebSocket address.
        ends: Taken off the end of its path one after the other.

    >>> socket_root("stt.acme.base_url", "https://h/v1/listen/", "/listen", "/v1")
    'wss://h'

    Raises:
        ConfigError: It is no address.
    """
    return _root(setting, base_url, ends, "wss", "ws")


def http_root(setting: str, base_url: str | None, *ends: str) -> str:
    """The same for requests.

    >>> http_root("tts.acme.base_url", "wss://h/speak", "/speak")
    'https://h'

    Raises:
        ConfigError: It is no address.
    """
    return _root(setting, base_url, ends, "https", "http")


def _root(
    setting: str, base_url: str | None, ends: tuple[str, ...], secure: str, plain: str
) -> str:
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(f"{setting} must begin with https:// or wss://: {base_url}")
    path = parts.path.rstrip("/")
    for end in ends:
        path = path.removesuffix(end)
    scheme = secure if parts.scheme in ("https", "wss") else plain
    return urlunsplit((scheme, parts.netloc, path, "", ""))
