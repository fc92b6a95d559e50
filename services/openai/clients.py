"""The HTTP clients of everything that speaks OpenAI's protocol.

One pool of connections serves every vendor and key of a process: making one reads the machine's
certificates. The clients on top of it hold an address and a key and cost next to nothing.
"""

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout
from pipecat.utils.http import AsyncHTTPClient, connection_limits

from services.connections.bodies import BOUNDED
from services.connections.clients import SharedClients
from services.context import ServiceContext

#: OpenAI's own default is 600 s; a caller is not that patient. The second figure is the longest
#: silence of a server, before an answer and within it.
TIMEOUT = Timeout(20.0, connect=3.0)
LIMITS = connection_limits(
    max_connections=1000, max_keepalive_connections=100, keepalive_expiry=120
)
#: Stands where a server of one's own asks for no key; the client insists on one.
NO_KEY = "none"
#: Whoever calls a vendor decides whether it is asked again, and within which time.
MAX_RETRIES = 0


def _make_http_client(_base_url: str | None, _api_key: str) -> AsyncHTTPClient:
    return DefaultAsyncHttpxClient(
        limits=LIMITS, timeout=TIMEOUT, follow_redirects=False, event_hooks=BOUNDED
    )


_http_clients: SharedClients[AsyncHTTPClient] = SharedClients(
    _make_http_client, lambda client: client.aclose()
)


def http_client() -> AsyncHTTPClient:
    """The running loop's pool of connections."""
    return _http_clients.get(None, "")


def _make_client(base_url: str | None, api_key: str) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=api_key,
        base_url=base_url,
        max_retries=MAX_RETRIES,
        timeout=TIMEOUT,
        http_client=http_client(),
    )


async def close_http(_client: AsyncOpenAI) -> None:
    """Its connections are the pool's."""
    await _http_clients.close()


clients: SharedClients[AsyncOpenAI] = SharedClients(_make_client, close_http)


def key_of(context: ServiceContext) -> str | None:
    """The key in clear, for a client."""
    return context.api_key.get_secret_value() if context.api_key else None
