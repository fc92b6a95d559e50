"""One utterance to text: one POST to the Indic Conformer server."""

import asyncio
import base64
from dataclasses import dataclass

import aiohttp
import msgspec

from config.errors import ConfigError, ProviderError
from services.ai4bharat.audio import for_recogniser
from services.ai4bharat.failures import failure, refused
from services.connections.bodies import MAX_TEXT_BYTES, whole_body

#: Preparing a request for more speech than this takes longer than a millisecond, and is done
#: off the event loop (measured: 0.5 ms for 5 s, 1.3 ms for 10 s).
INLINE_SECONDS = 5.0
BHILI = "bhb"
MAX_REFUSAL_BYTES = 1024


class _Request(msgspec.Struct):
    audio_b64: str
    language_id: str


class _Answer(msgspec.Struct):
    text: str


_answers = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcriber:
    """A recogniser on a server.

    Attributes:
        http: The process's shared session.
        base_url: Address of the server, as :func:`server_address` gives it.
        timeout_seconds: Limit for an utterance.
    """

    http: aiohttp.ClientSession
    base_url: str
    timeout_seconds: float

    async def transcribe(self, pcm: bytes, *, rate_hz: int, language: str) -> str:
        """What was said; empty if the server heard nothing.

        Args:
            pcm: 16-bit little-endian mono samples.
            rate_hz: Their rate.
            language: The server's code.

        Raises:
            ProviderError: It gave no text, or none in time. It is not asked again: whoever holds
                the service decides that, for every vendor alike.
        """
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await self._post(await _body(pcm, rate_hz, language), language)
        except TimeoutError as error:
            raise failure("stt", "timeout", f"no text in {self.timeout_seconds:g} s") from error

    async def _post(self, body: bytes, language: str) -> str:
        path = "/transcribe/bhili" if language == BHILI else "/transcribe"
        try:
            async with self.http.post(
                f"{self.base_url}{path}",
                data=body,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise _refusal(response, await response.content.read(MAX_REFUSAL_BYTES))
                answer = await whole_body(response, MAX_TEXT_BYTES)
        except aiohttp.ClientError as error:
            raise failure("stt", "unreachable", type(error).__name__) from error
        try:
            return _answers.decode(answer).text.strip()
        except msgspec.DecodeError as error:
            raise failure("stt", "garbage", "the answer is not the documented one") from error


def _refusal(response: aiohttp.ClientResponse, body: bytes) -> ProviderError:
    """The error for its status; a server without the Bhili model is not a busy one."""
    if response.status == 503 and b"Bhili model" in body:
        message = (
            "the server runs without its Bhili model; give it BHILI_NEMO_PATH, or use another "
            "provider for this agent"
        )
        return failure("stt", "no_model", message, retryable=False)
    return refused("stt", response.status, headers=response.headers)


def server_address(base_url: str | None) -> str:
    """The server's root, from what people write.

    >>> server_address("http://localhost:8001/transcribe/")
    'http://localhost:8001'

    Raises:
        ConfigError: It is no HTTP address.
    """
    trimmed = (base_url or "").strip().rstrip("/")
    for path in ("/bhili", "/transcribe"):
        trimmed = trimmed.removesuffix(path)
    if not trimmed.startswith(("http://", "https://")):
        raise ConfigError(f"stt.ai4bharat.base_url must begin with http:// or https://: {base_url}")
    return trimmed


async def _body(pcm: bytes, rate_hz: int, language: str) -> bytes:
    if len(pcm) > INLINE_SECONDS * rate_hz * 2:
        return await asyncio.to_thread(_encode, pcm, rate_hz, language)
    return _encode(pcm, rate_hz, language)


def _encode(pcm: bytes, rate_hz: int, language: str) -> bytes:
    audio = base64.b64encode(for_recogniser(pcm, rate_hz)).decode("ascii")
    return msgspec.json.encode(_Request(audio_b64=audio, language_id=language))
