"""Requests to VoiceERA's backend: their deadlines, their tries, and what can go wrong.

Wire facts: VoiceERA's FastAPI backend, June 2026. Routes lie under ``/api/v1``, the service key
goes into ``X-API-Key``, errors are ``{"detail": …}``. Neither key nor answer is ever logged.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
from pydantic import SecretStr
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)
from yarl import URL

from config.errors import BackendError
from services.unread_answers import leave_unread

T = TypeVar("T")

API_PREFIX: Final = "/api/v1"
#: One try, from connecting to the last byte.
ATTEMPT_SECONDS: Final = 3.0
#: All tries and the pauses between them.
DEADLINE_SECONDS: Final = 10.0
ATTEMPTS: Final = 3
#: Nobody waits for a report, and a backend that is only slow must be able to take it.
REPORT_SECONDS: Final = 30.0
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 2.0
MAX_ANSWER_BYTES: Final = 1024 * 1024

_CODES: Final = {
    401: "backend_auth",
    403: "backend_auth",
    404: "backend_not_found",
    408: "backend_timeout",
    429: "backend_busy",
    503: "backend_busy",
}


class _Detail(msgspec.Struct):
    detail: Any


class BackendTransport:
    """Sends JSON to the backend and reads what it answers.

    Args:
        http: The process's shared session.
        base_url: Where the backend is; ``/api/v1`` may be part of it or not.
        api_key: Sent as ``X-API-Key``.
        attempt_seconds: Limit of one try.
        deadline_seconds: Limit of all tries together.
        first_pause_seconds: Before the second try; it doubles, with jitter.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        api_key: SecretStr,
        *,
        attempt_seconds: float = ATTEMPT_SECONDS,
        deadline_seconds: float = DEADLINE_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/").removesuffix(API_PREFIX) + API_PREFIX
        self._api_key = api_key
        self._attempt_seconds = attempt_seconds
        self._deadline_seconds = deadline_seconds
        self._first_pause_seconds = first_pause_seconds

    async def post(self, path: str, body: object, answer: type[T]) -> T:
        """Ask until there is an answer, no answer is to be hoped for, or time is up.

        Args:
            path: Below ``/api/v1``, with its leading slash.
            body: What is sent, as JSON.
            answer: What a success must look like.

        Raises:
            BackendError: There is no such answer; the code says why.
        """
        content = await self._ask("POST", path, msgspec.json.encode(body))
        try:
            return msgspec.json.decode(content, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The decoder's own words may quote the answer, which may hold a key.
            message = f"the backend's answer to {path} is not the documented one"
            raise BackendError("backend_answer", message) from None

    async def get(self, path: str) -> bytes:
        """Ask for a document, as often as :meth:`post`; it comes back as it was sent.

        Raises:
            BackendError: There is no answer; the code says why.
        """
        return await self._ask("GET", path, None)

    async def report(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Tell the backend something, in one try; what it says besides yes is not looked at.

        Args:
            body: JSON.
            headers: Besides those of every request.

        Raises:
            BackendError: It has not taken it.
        """
        async with self._taken(method, path, body, headers, seconds=REPORT_SECONDS) as response:
            await leave_unread(response)

    async def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        tries = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(
                initial=self._first_pause_seconds,
                max=LONGEST_PAUSE_SECONDS,
                jitter=self._first_pause_seconds,
            ),
            retry=retry_if_exception(_may_help),
            reraise=True,
        )
        try:
            async with asyncio.timeout(self._deadline_seconds):
                content: bytes = await tries(self._try, method, path, body)
        except TimeoutError as error:
            raise _timeout(path, self._deadline_seconds) from error
        return content

    async def _try(self, method: str, path: str, body: bytes | None) -> bytes:
        seconds = self._attempt_seconds
        async with self._taken(method, path, body, {}, seconds=seconds) as response:
            return await _read(response, path)

    @asynccontextmanager
    async def _taken(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        seconds: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A 2xx, its body still to be read; what goes wrong until that is done is a BackendError.

        Args:
            seconds: For all of it, reading included.
        """
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.request(
                    method,
                    # The path is quoted already; quoting it twice would ask for another.
                    URL(self._base_url + path, encoded=True),
                    data=body,
                    headers={
                        "X-API-Key": self._api_key.get_secret_value(),
                        **({"Content-Type": "application/json"} if body is not None else {}),
                        "Accept": "application/json",
                        **headers,
                    },
                    # A redirect would carry the key to somebody else.
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response,
            ):
                if not 200 <= response.status < 300:
                    if response.status == 404 and not await _is_its_own(response):
                        raise _misrouted(path)
                    raise _refused(path, response.status)
                yield response
        except TimeoutError as error:
            raise _timeout(path, seconds, retryable=True) from error
        except (aiohttp.ClientError, OSError) as error:
            message = f"the backend cannot be reached for {path}: {type(error).__name__}"
            raise BackendError("backend_unreachable", message, retryable=True) from error


async def _read(response: aiohttp.ClientResponse, path: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            message = f"the backend's answer to {path} is longer than {MAX_ANSWER_BYTES} bytes"
            raise BackendError("backend_answer", message)
    return bytes(content)


async def _is_its_own(response: aiohttp.ClientResponse) -> bool:
    """Whether the backend itself says that there is no such thing: ``{"detail": …}``.

    What stands in front of it says 404 too while the backend is being replaced. Were that taken
    for its word, agents and keys would be gone, and reports be refused for good.
    """
    said = await response.content.read(MAX_ANSWER_BYTES)
    try:
        msgspec.json.decode(said, type=_Detail)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _misrouted(path: str) -> BackendError:
    message = (
        f"{path} was answered with 404, and not by the backend: VOICERA_BACKEND_URL names "
        "something else, or a proxy that does not reach it"
    )
    return BackendError("backend_unreachable", message, retryable=True)


def _refused(path: str, status: int) -> BackendError:
    """What a status means; its body is not shown, since nothing says what it holds."""
    is_temporary = status in (408, 429) or status >= 500
    code = _CODES.get(status, "backend_failed" if is_temporary else "backend_refused")
    message = f"the backend answered {status} to {path}"
    if code == "backend_auth":
        message += "; INTERNAL_API_KEY must be the one of the backend"
    return BackendError(code, message, status=status, retryable=is_temporary)


def _timeout(path: str, seconds: float, *, retryable: bool = False) -> BackendError:
    message = f"the backend did not answer {path} within {seconds:g} s"
    return BackendError("backend_timeout", message, retryable=retryable)


def _may_help(error: BaseException) -> Any:
    return isinstance(error, BackendError) and error.retryable
