"""Bodies of HTTP answers, as far as they may go: a server can send one without end."""

from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import httpx2

#: The longest answer of a model as it comes: an event for each few letters, thoughts too.
MAX_STREAM_BYTES: Final = 16 * 1024 * 1024
#: A spoken phrase: over five minutes at 24 kHz, as samples or as base64.
MAX_SOUND_BYTES: Final = 16 * 1024 * 1024
#: A text with what a vendor tells of it.
MAX_TEXT_BYTES: Final = 1024 * 1024


class EndlessAnswerError(aiohttp.ClientPayloadError):
    """An answer goes on beyond what it can be."""


async def whole_body(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Read an answer to its end.

    Raises:
        EndlessAnswerError: It is longer than ``most_bytes``; the connection is closed.
        aiohttp.ClientError: It broke off.
    """
    content = bytearray()
    async for data in response.content.iter_any():
        content += data
        if len(content) > most_bytes:
            response.close()
            raise EndlessAnswerError(f"an answer of over {most_bytes} bytes")
    return bytes(content)


class _Bounded(httpx2.AsyncByteStream):
    """A body that fails where it goes on for too long."""

    def __init__(self, stream: Any, request: httpx2.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._stream:
            size += len(data)
            if size > MAX_STREAM_BYTES:
                message = f"an answer of over {MAX_STREAM_BYTES} bytes"
                raise httpx2.RemoteProtocolError(message, request=self._request)
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()


async def bound_body(response: httpx2.Response) -> None:
    """For the ``response`` hooks of an httpx client: no body is longer than a model's may be."""
    response.stream = _Bounded(response.stream, response.request)


#: Keyword argument of an httpx client.
BOUNDED: Final[dict[str, list[Any]]] = {"response": [bound_body]}
