"""One request to Vobiz, and what its answer says; errors are mapped here and nowhere else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from config.errors import CallControlError

#: One request and its answer; of a file, between two blocks of it.
REQUEST_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 256 * 1024


@asynccontextmanager
async def request(
    http: aiohttp.ClientSession,
    method: str,
    url: URL,
    headers: Mapping[str, str],
    data: bytes | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """One request; a redirect is an answer like any other, and is not followed.

    Raises:
        CallControlError: ``carrier_unreachable``.
    """
    try:
        async with http.request(
            method,
            url,
            headers=headers,
            data=data,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=REQUEST_SECONDS),
        ) as response:
            yield response
    except (aiohttp.ClientError, TimeoutError) as error:
        # The error's own words may hold the address, which may hold a signature.
        message = f"{url.host} cannot be reached: {type(error).__name__}"
        raise CallControlError("carrier_unreachable", message) from error


async def read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The JSON object that an answer holds; empty where it has no body.

    Raises:
        CallControlError: ``carrier_answer``.
    """
    if response.status == 204:
        return {}
    content = bytearray()
    async for block in response.content.iter_any():
        content += block
        if len(content) > MAX_ANSWER_BYTES:
            raise CallControlError("carrier_answer", "Vobiz's answer is too long")
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CallControlError("carrier_answer", "Vobiz's answer is no JSON object") from None


def require_success(status: int) -> None:
    """Tell what a status other than 2xx means.

    Raises:
        CallControlError: The code says whether asking again can help.
    """
    if 200 <= status < 300:
        return
    codes = {
        401: "carrier_auth",
        403: "carrier_auth",
        404: "carrier_not_found",
        429: "carrier_busy",
    }
    code = codes.get(status, "carrier_failed" if status >= 500 else "carrier_refused")
    hint = "; check VOBIZ_AUTH_ID and VOBIZ_AUTH_TOKEN" if code == "carrier_auth" else ""
    raise CallControlError(code, f"Vobiz answered {status}{hint}")
