"""Where Smallest AI is, from what people write."""

from services.connections.addresses import http_root, socket_root

_SETTING = "tts.smallest.base_url"
_ENDS = ("/live", "/tts", "/waves/v1")


def socket_address(base_url: str | None) -> str:
    """The server's root for WebSockets.

    Raises:
        ConfigError: It is no address.
    """
    return socket_root(_SETTING, base_url, *_ENDS)


def http_address(base_url: str | None) -> str:
    """The server's root for requests.

    >>> http_address("wss://api.smallest.ai/waves/v1/tts/live")
    'https://api.smallest.ai'

    Raises:
        ConfigError: It is no address.
    """
    return http_root(_SETTING, base_url, *_ENDS)
