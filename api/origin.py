"""Which web pages may open a WebSocket here. Programs and carriers send no Origin."""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from config.sections import ServerSettings

_HTTP_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


def is_allowed_origin(connection: HTTPConnection, server: ServerSettings) -> bool:
    """Whether the request comes from no page, one of our own, or one that an operator allows.

    Our own are those of the address that was asked for and of ``server.public_url``; all are
    compared as they are written, without patterns.
    """
    origin = connection.headers.get("origin")
    return origin is None or origin in (*own_origins(connection, server), *server.allowed_origins)


def own_origins(connection: HTTPConnection, server: ServerSettings) -> tuple[str, ...]:
    """The origins of the pages that this server itself gives out."""
    url = connection.url
    asked = f"{_HTTP_SCHEMES.get(url.scheme, url.scheme)}://{url.netloc}"
    if server.public_url is None:
        return (asked,)
    public = urlsplit(server.public_url)
    return (asked, f"{public.scheme}://{public.netloc}")
