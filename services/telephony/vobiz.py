"""Vobiz's own recording of a call: started, stopped, found and fetched.

Wire facts: vobiz.md sections 1.1 to 1.5. Paths are case-sensitive and end in a slash; the
account goes into ``X-Auth-ID`` and ``X-Auth-Token``.
"""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from config.errors import CallControlError
from services.telephony.vobiz_files import (
    FetchedFile,
    FetchLimits,
    VobizAccount,
    VobizFiles,
    account_headers,
)
from services.telephony.vobiz_http import REQUEST_SECONDS, read, request, require_success

#: The longest recording that may be asked for: a call is cut at 24 h.
MAX_RECORDING_SECONDS: Final = 86_400

DEFAULT_LIMITS: Final = FetchLimits()

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class VobizRecordings:
    """Recordings of one account.

    Args:
        account: Whose.
        http: For Vobiz itself.
        foreign_http: For other hosts; see :class:`VobizFiles`.
        limits: Of one file.
    """

    def __init__(
        self,
        account: VobizAccount,
        http: aiohttp.ClientSession,
        foreign_http: aiohttp.ClientSession,
        limits: FetchLimits = DEFAULT_LIMITS,
    ) -> None:
        self._account = account
        self._http = http
        self._files = VobizFiles(account, http, foreign_http, limits)
        self._root = f"{account.api_base.rstrip('/')}/Account/{quote(account.auth_id, safe='')}"

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
        """Fetch a recording's file; see :meth:`VobizFiles.fetch`."""
        return await self._files.fetch(url, path)

    async def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        headers = account_headers(self._account)
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = msgspec.json.encode(body) if body is not None else None
        url = URL(self._root + path, encoded=True)
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                request(self._http, method, url, headers, data) as response,
            ):
                require_success(response.status)
                return await read(response)
        except TimeoutError:
            message = f"Vobiz did not answer within {REQUEST_SECONDS:g} s"
            raise CallControlError("carrier_unreachable", message) from None


def _checked(name: str) -> str:
    """An id that can be part of a path and cannot leave it."""
    if not _ID.fullmatch(name):
        raise CallControlError("carrier_refused", "that is no id of Vobiz's")
    return name
