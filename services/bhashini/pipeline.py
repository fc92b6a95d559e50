"""The ULCA pipeline over REST: one task, one request, one answer."""

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from config.errors import ProviderStage
from services.bhashini.audio import from_wav, wav
from services.bhashini.failures import failure, refused

#: 40 s of speech at 48 kHz in base64, and more than any sentence needs.
MAX_ANSWER_BYTES = 8 * 1024 * 1024


class _Text(msgspec.Struct):
    source: str = ""


class _Audio(msgspec.Struct, rename="camel"):
    audio_content: str | None = None


class _TaskAnswer(msgspec.Struct):
    output: list[_Text] | None = None
    audio: list[_Audio] | None = None


class _Answer(msgspec.Struct, rename="camel"):
    pipeline_response: list[_TaskAnswer]


_answers = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The compute door, for one kind of task.

    Attributes:
        http: The process's shared session.
        url: As :func:`services.bhashini.addresses.pipeline_address` gives it.
        key: Goes into ``Authorization`` as it is, without ``Bearer``.
        stage: ``stt`` or ``tts``.
        timeout_seconds: Limit for a task.
    """

    http: aiohttp.ClientSession
    url: str
    key: str
    stage: ProviderStage
    timeout_seconds: float

    async def transcribe(
        self, pcm: bytes, *, rate_hz: int, language: str, service_id: str, post: tuple[str, ...]
    ) -> str:
        """What was said; empty if nothing was understood.

        Args:
            pcm: 16-bit little-endian mono samples.
            rate_hz: Their rate.
            language: Bhashini's code.
            service_id: Of the recogniser.
            post: Post-processors.

        Raises:
            ProviderError: It gave no text, or none in time.
        """
        config = {
            "serviceId": service_id,
            "language": {"sourceLanguage": language},
            "audioFormat": "wav",
            "samplingRate": rate_hz,
            "postProcessors": list(post),
        }
        content = base64.b64encode(wav(pcm, rate_hz)).decode("ascii")
        answer = await self._run("asr", config, {"audio": [{"audioContent": content}]})
        return " ".join(filter(None, (text.source.strip() for text in answer.output or [])))

    async def speak(
        self, text: str, *, rate_hz: int, language: str, service_id: str, gender: str, speed: float
    ) -> bytes:
        """A sentence as 16-bit little-endian mono samples at ``rate_hz``.

        Raises:
            ProviderError: It gave no audio, or none in time.
        """
        config = {
            "serviceId": service_id,
            "language": {"sourceLanguage": language},
            "gender": gender,
            "samplingRate": rate_hz,
            "speed": speed,
        }
        answer = await self._run("tts", config, {"input": [{"source": text}]})
        pieces = [piece.audio_content for piece in answer.audio or [] if piece.audio_content]
        if not pieces:
            raise failure("tts", "no_audio", "the sentence came back without audio")
        try:
            pcm = await asyncio.to_thread(_decoded, pieces, rate_hz)
        except (ValueError, binascii.Error) as error:
            raise failure("tts", "format", f"cannot use the audio: {error}") from error
        if not pcm:
            raise failure("tts", "no_audio", "the sentence came back without audio")
        return pcm

    async def _run(self, task: str, config: dict[str, Any], data: dict[str, Any]) -> _TaskAnswer:
        body = msgspec.json.encode(
            {
                "pipelineTasks": [{"taskType": task, "config": config}],
                "inputData": data,
                "controlConfig": {"dataTracking": False},
            }
        )
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await self._post(body)
        except TimeoutError as error:
            limit = f"no answer in {self.timeout_seconds:g} s"
            raise failure(self.stage, "timeout", limit) from error

    async def _post(self, body: bytes) -> _TaskAnswer:
        try:
            async with self.http.post(
                self.url,
                data=body,
                headers={"Authorization": self.key, "Content-Type": "application/json"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as response:
                if response.status != 200:
                    raise refused(self.stage, response.status, headers=response.headers)
                content = await self._read(response)
        except aiohttp.ClientError as error:
            raise failure(self.stage, "unreachable", type(error).__name__) from error
        try:
            answers = _answers.decode(content).pipeline_response
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = "the answer is not the documented one"
            raise failure(self.stage, "garbage", text) from error
        if not answers:
            text = "the pipeline has no such task"
            raise failure(self.stage, "refused", text, retryable=False)
        return answers[0]

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for data in response.content.iter_any():
            content += data
            if len(content) > MAX_ANSWER_BYTES:
                raise failure(self.stage, "garbage", "the answer has no end")
        return bytes(content)


def _decoded(pieces: list[str], rate_hz: int) -> bytes:
    return b"".join(from_wav(base64.b64decode(piece, validate=True), rate_hz) for piece in pieces)
