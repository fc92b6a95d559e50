"""Vobiz's own recording of a call: started, stopped, found and fetched.

Wire facts: vobiz.md sections 1.1 to 1.5. Paths are case-sensitive and end in a slash; the
account goes into ``X-Auth-ID`` and ``X-Auth-Token``. These go to the addresses that an operator
has set and to no other, whatever an answer or a redirect says.
"""

import asyncio
import hashlib
import ipaddress
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec
from pydantic import SecretStr
from yarl import URL

from config.errors import CallControlError
from config.sections import VobizSettings

#: One request and its answer.
REQUEST_SECONDS: Final = 10.0
#: A whole file: a day of MP3 at 64 kbit/s is 700 MB, an hour 29.
FETCH_SECONDS: Final = 600.0
MAX_FILE_BYTES: Final = 512 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_REDIRECTS: Final = 3
#: The longest recording that may be asked for: a call is cut at 24 h.
MAX_RECORDING_SECONDS: Final = 86_400

_BLOCK_BYTES: Final = 64 * 1024
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NOT_SOUND: Final = ("text/", "application/json", "application/xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class VobizAccount:
    """Whose calls, and where.

    Attributes:
        api_base: Of the REST interface.
        media_base: Where recordings lie, given the account too; None gives it to nobody else.
        foreign: Recordings may be fetched from any other public host, without the account.
    """

    api_base: str
    auth_id: str
    auth_token: SecretStr
    media_base: str | None = None
    foreign: bool = False

    @classmethod
    def from_settings(cls, settings: VobizSettings) -> "VobizAccount | None":
        """The account that is set; None where there is none."""
        if not settings.auth_id or settings.auth_token is None:
            return None
        return cls(
            api_base=settings.api_base,
            auth_id=settings.auth_id,
            auth_token=settings.auth_token,
            media_base=settings.media_base,
            foreign=settings.foreign_recordings,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A file that was fetched."""

    size_bytes: int
    sha256: str


class VobizRecordings:
    """Recordings of one account.

    Args:
        account: Whose.
        http: For Vobiz itself.
        foreign_http: For other hosts; it must not reach private networks.
        fetch_seconds: Longest time for one file.
        max_file_bytes: Largest file that is taken.
    """

    def __init__(
        self,
        account: VobizAccount,
        http: aiohttp.ClientSession,
        foreign_http: aiohttp.ClientSession,
        *,
        fetch_seconds: float = FETCH_SECONDS,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._account = account
        self._http = http
        self._foreign_http = foreign_http
        self._fetch_seconds = fetch_seconds
        self._max_file_bytes = max_file_bytes
        self._root = f"{account.api_base.rstrip('/')}/Account/{quote(account.auth_id, safe='')}"
        bases = [account.api_base, *([account.media_base] if account.media_base else [])]
        self._trusted = frozenset(URL(base).origin() for base in bases)

    async def start(self, call_id: str, *, seconds: int, stereo: bool) -> str:
        """Have a live call recorded.

        Args:
            call_id: Vobiz's.
            seconds: After which it ends by itself.
            stereo: Two channels.

        Returns:
            The recording's id.

        Raises:
            CallControlError: It was not begun, as far as is known.
        """
        body = {
            "time_limit": max(1, min(seconds, MAX_RECORDING_SECONDS)),
            "file_format": "mp3",
            "record_channel_type": "stereo" if stereo else "mono",
        }
        answer = await self._ask("POST", f"/Call/{_checked(call_id)}/Record/", body)
        found = answer.get("recording_id")
        if not isinstance(found, str) or not _ID.fullmatch(found):
            raise CallControlError("carrier_answer", "Vobiz named no recording")
        return found

    async def stop(self, call_id: str) -> None:
        """End all recordings of a call; nothing happens where there is none, or no call.

        Raises:
            CallControlError: They may go on, until the call ends.
        """
        try:
            await self._ask("DELETE", f"/Call/{_checked(call_id)}/Record/")
        except CallControlError as error:
            if error.code != "carrier_not_found":
                raise

    async def find(self, recording_id: str) -> str | None:
        """Where a recording's file lies; None while there is none yet.

        Raises:
            CallControlError: That was not found out.
        """
        try:
            answer = await self._ask("GET", f"/Recording/{_checked(recording_id)}/")
        except CallControlError as error:
            if error.code == "carrier_not_found":
                return None
            raise
        url = answer.get("recording_url")
        return url if isinstance(url, str) and url else None

    async def fetch(self, url: str, path: Path) -> FetchedFile:
        """Fetch a recording's file.

        Args:
            url: As Vobiz named it; not trusted.
            path: Where it goes; what an attempt that fails leaves there is worth nothing.

        Raises:
            CallControlError: There is no such file yet, or it is not to be had from there.
            OSError: The disk would not have it.
        """
        try:
            async with asyncio.timeout(self._fetch_seconds):
                return await self._fetch(url, path)
        except TimeoutError:
            message = f"the recording was not there within {self._fetch_seconds:g} s"
            raise CallControlError("carrier_unreachable", message) from None

    async def _fetch(self, url: str, path: Path) -> FetchedFile:
        target = _parsed(url)
        for _ in range(MAX_REDIRECTS + 1):
            # Each address is judged anew: a redirect takes no key to anywhere.
            http, headers = self._door(target)
            async with _request(http, "GET", target, headers) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    _require_success(response.status)
                    return await self._save(response, path)
            target = target.join(_parsed(location, relative=True))
        raise CallControlError("carrier_refused", "the recording is redirected again and again")

    def _door(self, url: URL) -> tuple[aiohttp.ClientSession, dict[str, str]]:
        """With what an address may be asked."""
        if url.user is None and url.password is None and url.host:
            if url.scheme in ("http", "https") and url.origin() in self._trusted:
                return self._http, self._keys()
            if url.scheme == "https" and self._account.foreign and _is_public_name(url.host):
                return self._foreign_http, {}
        raise CallControlError(
            "carrier_foreign",
            f"the recording lies at {url.scheme}://{url.host}, which is neither vobiz.api_base nor "
            "vobiz.media_base; if that is right, set VOBIZ_MEDIA_BASE",
        )

    async def _save(self, response: aiohttp.ClientResponse, path: Path) -> FetchedFile:
        if response.content_type.startswith(_NOT_SOUND):
            raise CallControlError("carrier_answer", f"{response.content_type} came for a sound")
        digest, size = hashlib.sha256(), 0
        with await asyncio.to_thread(path.open, "wb") as file:
            async for block in response.content.iter_chunked(_BLOCK_BYTES):
                size += len(block)
                if size > self._max_file_bytes:
                    message = f"the recording is larger than {self._max_file_bytes} bytes"
                    raise CallControlError("carrier_too_large", message)
                digest.update(block)
                await asyncio.to_thread(file.write, block)
        if not size:
            raise CallControlError("carrier_answer", "the recording is empty")
        return FetchedFile(size_bytes=size, sha256=digest.hexdigest())

    async def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        headers = self._keys()
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = msgspec.json.encode(body) if body is not None else None
        url = URL(self._root + path, encoded=True)
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                _request(self._http, method, url, headers, data) as response,
            ):
                _require_success(response.status)
                return await _read(response)
        except TimeoutError:
            message = f"Vobiz did not answer within {REQUEST_SECONDS:g} s"
            raise CallControlError("carrier_unreachable", message) from None

    def _keys(self) -> dict[str, str]:
        account = self._account
        return {
            "X-Auth-ID": account.auth_id,
            "X-Auth-Token": account.auth_token.get_secret_value(),
        }


@asynccontextmanager
async def _request(
    http: aiohttp.ClientSession,
    method: str,
    url: URL,
    headers: Mapping[str, str],
    data: bytes | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
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


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
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


def _require_success(status: int) -> None:
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


def _checked(name: str) -> str:
    """An id that can be part of a path and cannot leave it."""
    if not _ID.fullmatch(name):
        raise CallControlError("carrier_refused", "that is no id of Vobiz's")
    return name


def _is_public_name(host: str) -> bool:
    """Whether a name is to be looked up; a bare address would not pass the resolver's check."""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _parsed(url: str, *, relative: bool = False) -> URL:
    try:
        found = URL(url)
    except ValueError:
        found = None
    if found is None or not (relative or found.absolute):
        raise CallControlError("carrier_answer", "Vobiz named no address of a recording")
    return found
