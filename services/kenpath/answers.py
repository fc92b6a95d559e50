"""One question to one of Kenpath's servers: one HTTP request whose answer is read as it comes."""

import abc
import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import msgspec

from config.errors import ConfigError
from services.kenpath.failures import failure, refused
from services.kenpath.tokens import TokenSource

#: A letter beyond ASCII takes nine bytes in an address, and servers commonly take 8 KiB of one.
MAX_QUERY_CHARACTERS = 800
#: No spoken answer is longer; what is, is cut off here.
MAX_ANSWER_BYTES = 256 * 1024
_VISTAAR_PATH = "/api/voice"
_BHILI_PATH = "/api/voice-bhili"


class _BhiliAnswer(msgspec.Struct):
    response: str


_bhili_answers = msgspec.json.Decoder(_BhiliAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adviser(abc.ABC):
    """One of the servers, for one call.

    Attributes:
        http: The process's shared session.
        url: Its door, as :func:`vistaar_address` or :func:`bhili_address` gives it.
        language: The server's code.
        session_id: Under which the server keeps the conversation.
        tokens: Of the tokens it asks for; None for a server that asks for none.
        first_text_timeout_seconds: Limit for an answer to begin.
        stall_timeout_seconds: Limit for a pause within one.
        total_timeout_seconds: Limit for the whole.
    """

    http: aiohttp.ClientSession
    url: str
    language: str
    session_id: str
    tokens: TokenSource | None
    first_text_timeout_seconds: float
    stall_timeout_seconds: float
    total_timeout_seconds: float

    async def answer(self, question: str) -> AsyncGenerator[str, None]:
        """The answer in pieces, as they come.

        A server that is busy, fails or is not there is not asked again: whoever holds the
        service decides that, for every vendor alike. Closing the generator, or cancelling who
        reads it, ends the request.

        Raises:
            ProviderError: There is no answer, it broke off, or it took too long.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        end = begun + self.total_timeout_seconds
        first, pieces = await self._begun(question, begun + self.first_text_timeout_seconds, end)
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    async def _begun(
        self, question: str, deadline: float, end: float
    ) -> tuple[str, AsyncGenerator[str, None]]:
        """The first piece of an answer, and those behind it."""
        try:
            async with asyncio.timeout_at(min(deadline, end)):
                pieces = self._pieces(question, end)
                return await anext(pieces), pieces
        except TimeoutError as error:
            limit = f"no answer in {self.first_text_timeout_seconds:g} s"
            raise failure("timeout", limit) from error

    @abc.abstractmethod
    def _pieces(self, question: str, end: float) -> AsyncGenerator[str, None]:
        """Ask once; the first piece is never blank, and there is one or an error."""

    @asynccontextmanager
    async def _asked(
        self, question: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a question, once its head is there; its body is not read."""
        query = {
            "query": question[-MAX_QUERY_CHARACTERS:],
            "source_lang": self.language,
            "target_lang": self.language,
            "session_id": self.session_id,
        }
        try:
            response = await self.http.get(
                self.url,
                params=query,
                headers={**headers, **await self._authorization()},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        except aiohttp.ServerDisconnectedError as error:
            # aiohttp has asked twice by then.
            raise failure("dropped", "the server hung up without a word") from error
        except aiohttp.ClientError as error:
            raise failure("unreachable", type(error).__name__) from error
        try:
            self._check(response)
            yield response
        finally:
            # Whoever wants no more of an answer hangs up; its rest is not worth reading.
            response.close()

    async def _authorization(self) -> dict[str, str]:
        if self.tokens is None:
            return {}
        try:
            return {"Authorization": f"Bearer {await self.tokens.token()}"}
        except ConfigError as error:
            raise failure("auth", error.message, retryable=False) from error

    def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status in (401, 403) and self.tokens is not None:
            self.tokens.forget()
        if response.status != 200:
            raise refused(response.status, headers=response.headers)
        if response.content_type == "text/html":
            raise failure("garbage", "the answer is a page for a browser")

    async def _chunks(
        self, response: aiohttp.ClientResponse, end: float
    ) -> AsyncGenerator[bytes, None]:
        """The body as it comes; the first piece has no limit here but the last."""
        loop = asyncio.get_running_loop()
        deadline = end
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    data = await response.content.readany()
            except TimeoutError as error:
                raise failure("timeout", "the answer does not go on") from error
            except aiohttp.ClientError as error:
                raise failure("dropped", type(error).__name__) from error
            if not data:
                return
            yield data
            deadline = min(end, loop.time() + self.stall_timeout_seconds)


class Vistaar(Adviser):
    """Streams text: UTF-8 without any frame around it, cut anywhere."""

    __slots__ = ()

    async def _pieces(self, question: str, end: float) -> AsyncGenerator[str, None]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        heard = False
        size = 0
        async with self._asked(question, {}) as response:
            async for data in self._chunks(response, end):
                text = decoder.decode(data)
                if not heard:
                    text = text.lstrip()
                if text:
                    heard = True
                    yield text
                size += len(data)
                if size >= MAX_ANSWER_BYTES:
                    break
        if not heard:
            raise failure("empty", "the answer came back empty")


class Bhili(Adviser):
    """Answers in one JSON object."""

    __slots__ = ()

    async def _pieces(self, question: str, end: float) -> AsyncGenerator[str, None]:
        body = bytearray()
        async with self._asked(question, {"Accept": "application/json"}) as response:
            async for data in self._chunks(response, end):
                body += data
                if len(body) > MAX_ANSWER_BYTES:
                    raise failure("garbage", "the answer has no end")
        try:
            text = _bhili_answers.decode(body).response.strip()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise failure("garbage", "the answer is not the documented one") from error
        if not text:
            raise failure("empty", "the answer came back empty")
        yield text


def vistaar_address(base_url: str | None) -> str:
    """Vistaar's door, from what people write.

    >>> vistaar_address("https://vistaar.example/api/voice")
    'https://vistaar.example/api/voice/'

    Raises:
        ConfigError: It is no HTTP address.
    """
    return f"{_root(base_url, 'kenpath').removesuffix(_VISTAAR_PATH)}{_VISTAAR_PATH}/"


def bhili_address(base_url: str | None) -> str:
    """Voice Bhili's door, from what people write.

    >>> bhili_address("http://localhost:9000")
    'http://localhost:9000/api/voice-bhili'

    Raises:
        ConfigError: It is no HTTP address.
    """
    return f"{_root(base_url, 'kenpath_bhili').removesuffix(_BHILI_PATH)}{_BHILI_PATH}"


def _root(base_url: str | None, name: str) -> str:
    trimmed = (base_url or "").strip().rstrip("/")
    parts = urlsplit(trimmed)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"llm.{name}.base_url must begin with http:// or https://: {base_url}")
    return trimmed
