"""The files of Vobiz's recordings: fetched from where it says, and nobody else gets the account.

Wire facts: vobiz.md section 1.5. ``recording_url`` lies on a media host that wants the same
headers as the REST interface. These go to the addresses that an operator has set and to no
other, whatever an answer or a redirect says.
"""

import asyncio
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from pydantic import SecretStr
from yarl import URL

from config.errors import CallControlError
from config.sections import VobizSettings
from services.telephony.vobiz_http import request, require_success

MAX_REDIRECTS: Final = 3

_BLOCK_BYTES: Final = 64 * 1024
_HEAD_BYTES: Final = 12
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
class FetchLimits:
    """How much one file may take; a day of MP3 at 64 kbit/s is 700 MB, an hour 29.

    Attributes:
        seconds: Longest time.
        file_bytes: Largest file.
    """

    seconds: float = 600.0
    file_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A file that was fetched.

    Attributes:
        content_type: By its first bytes: Vobiz's file need not be what its name says.
    """

    size_bytes: int
    sha256: str
    content_type: str = "audio/mpeg"


class VobizFiles:
    """Files of one account's recordings.

    Args:
        account: Whose.
        http: For Vobiz itself.
        foreign_http: For other hosts; it must not reach private networks.
        limits: Of one file.
    """

    def __init__(
        self,
        account: VobizAccount,
        http: aiohttp.ClientSession,
        foreign_http: aiohttp.ClientSession,
        limits: FetchLimits,
    ) -> None:
        self._account = account
        self._http = http
        self._foreign_http = foreign_http
        self._limits = limits
        bases = [account.api_base, *([account.media_base] if account.media_base else [])]
        self._trusted = frozenset(URL(base).origin() for base in bases)

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
            async with asyncio.timeout(self._limits.seconds):
                return await self._fetch(url, path)
        except TimeoutError:
            message = f"the recording was not there within {self._limits.seconds:g} s"
            raise CallControlError("carrier_unreachable", message) from None

    async def _fetch(self, url: str, path: Path) -> FetchedFile:
        target = _parsed(url)
        for _ in range(MAX_REDIRECTS + 1):
            # Each address is judged anew: a redirect takes no key to anywhere.
            http, headers = self._door(target)
            async with request(http, "GET", target, headers) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or not location:
                    require_success(response.status)
                    return await self._save(response, path)
            target = target.join(_parsed(location, relative=True))
        raise CallControlError("carrier_refused", "the recording is redirected again and again")

    def _door(self, url: URL) -> tuple[aiohttp.ClientSession, dict[str, str]]:
        """With what an address may be asked."""
        if url.user is None and url.password is None and url.host:
            if url.scheme in ("http", "https") and url.origin() in self._trusted:
                return self._http, account_headers(self._account)
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
        digest, size, head = hashlib.sha256(), 0, b""
        with await asyncio.to_thread(path.open, "wb") as file:
            async for block in response.content.iter_chunked(_BLOCK_BYTES):
                size += len(block)
                if size > self._limits.file_bytes:
                    message = f"the recording is larger than {self._limits.file_bytes} bytes"
                    raise CallControlError("carrier_too_large", message)
                head = (head + block)[:_HEAD_BYTES]
                digest.update(block)
                await asyncio.to_thread(file.write, block)
        if not size:
            raise CallControlError("carrier_answer", "the recording is empty")
        return FetchedFile(
            size_bytes=size, sha256=digest.hexdigest(), content_type=_content_type(head)
        )


def account_headers(account: VobizAccount) -> dict[str, str]:
    """What shows whose account it is; for :class:`VobizFiles` to decide who is shown it."""
    return {
        "X-Auth-ID": account.auth_id,
        "X-Auth-Token": account.auth_token.get_secret_value(),
    }


def _content_type(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    return "audio/ogg" if head[:4] == b"OggS" else "audio/mpeg"


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
