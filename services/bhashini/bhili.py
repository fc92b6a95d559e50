"""Bhili speech-to-text in a call: each utterance is a stream of inferences to one Triton model."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from services.bhashini import BHILI_LANGUAGES, BhiliSTTOptions
from services.bhashini.audio import ToStream
from services.bhashini.failures import FAILURES, failure
from services.bhashini.messages import (
    MODEL_STREAM_INFER,
    Inference,
    Tensor,
    infer_request,
    inference,
    packed,
)
from services.bhashini.nvcf import Function, failed, function
from services.context import ServiceContext
from services.hearing.utterance_stt import UtteranceSTTService
from services.hearing.utterances import Interim, Utterance

MODEL = "asr_streaming"
VERSION = "1"
CHUNK_MS = 200
#: From the end of speech to its text: 200 ms until the pause is noticed, the rest for the final
#: text. An estimate.
TTFS_P99_SECONDS = 1.2
#: How long the first answer is awaited before more is said. A refusal has come by then; while
#: more was being written, grpc.aio would lose its reason.
FIRST_ANSWER_SECONDS = 0.3
#: Speech of this length that has no answer at all was not listened to.
UNHEARD_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """The model on a server.

    Attributes:
        function: Where it is.
        connect_timeout_seconds: Limit for a stream to be taken.
        final_timeout_seconds: Limit for the final text once the utterance is over.
    """

    function: Function
    connect_timeout_seconds: float
    final_timeout_seconds: float


class Inferred(Utterance):
    """Sent while it is being said. A stream that breaks is not opened again: whoever holds the
    service decides who hears it all once more.

    Args:
        rate_hz: Of its audio.
        recogniser: The server.
        language: The server's code.
    """

    def __init__(self, rate_hz: int, recogniser: Recogniser, language: str) -> None:
        super().__init__(rate_hz)
        self._recogniser = recogniser
        self._language = language
        self._heard = ""
        self._answered = asyncio.Event()
        self._last_id = ""
        self._end_sent = asyncio.Event()
        self._is_left = False

    async def text(self, on_interim: Interim) -> str:
        """See the base class."""
        server = self._recogniser
        open_stream = server.function.channel.stream_stream(MODEL_STREAM_INFER)
        call = open_stream(self._requests(), metadata=server.function.metadata)
        reading = asyncio.create_task(self._read(call, on_interim))
        ended = asyncio.create_task(self._end_sent.wait())
        try:
            await self._connected(call)
            await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((reading,), timeout=server.final_timeout_seconds)
            if reading.done():
                await reading
            elif not self._answered.is_set() and self.duration_seconds >= UNHEARD_SECONDS:
                raise failure("stt", "timeout", "the stream gave no text")
        except grpc.aio.AioRpcError as error:
            raise failed("stt", error, began=self._answered.is_set()) from None
        finally:
            call.cancel()
            # A call that has ended by itself goes on asking for what is said.
            self._is_left = True
            self._changed.set()
            for task in (reading, ended):
                task.cancel()
            await asyncio.gather(reading, ended, return_exceptions=True)
        return self._heard

    async def _connected(self, call: Any) -> None:
        limit_seconds = self._recogniser.connect_timeout_seconds
        try:
            async with asyncio.timeout(limit_seconds):
                await call.wait_for_connection()
        except TimeoutError:
            raise failure("stt", "timeout", f"not reached in {limit_seconds:g} s") from None

    async def _requests(self) -> AsyncIterator[bytes]:
        """Everything from the beginning, as it is said; the last one says that it is over."""
        session = str(uuid.uuid4())
        converter = ToStream(self.rate_hz)
        size = self.rate_hz * CHUNK_MS // 1000 * 2
        place = 0
        for number in itertools.count():
            while len(self.pcm) < place + size and not (self.is_over or self._is_left):
                self._changed.clear()
                await self._changed.wait()
            if self._is_left:
                return
            is_last = len(self.pcm) - place < size
            piece = bytes(self.pcm[place:] if is_last else self.pcm[place : place + size])
            place += len(piece)
            request_id = f"{session}-c{number}"
            if is_last:
                self._last_id = request_id
            samples = converter.take(piece, last=is_last)
            yield infer_request(
                MODEL,
                VERSION,
                request_id,
                _inputs(samples, session, self._language, is_last=is_last),
            )
            if is_last:
                self._end_sent.set()
                return
            if number == 0:
                await self._first_answer()

    async def _first_answer(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ANSWER_SECONDS):
                await self._answered.wait()

    async def _read(self, call: Any, on_interim: Interim) -> None:
        """Take texts until the last one; each holds all that was understood so far."""
        async for data in call:
            try:
                answer = inference(data)
            except ValueError:
                continue
            if answer.error:
                raise failure("stt", "failed", _printable(answer.error))
            self._answered.set()
            text = " ".join(answer.texts.get("PARTIAL_TRANSCRIPT", ())).strip()
            if text:
                self._heard = text
            if _is_last(answer, self._last_id):
                return
            if text:
                await on_interim(text)
        if not self._end_sent.is_set():
            raise failure("stt", "dropped", "the server left before it was done")


class BhiliSTTService(UtteranceSTTService):
    """Streams each utterance to the Bhili model."""


def build_stt(options: BhiliSTTOptions, context: ServiceContext) -> BhiliSTTService:
    """A recogniser for one call.

    Raises:
        ConfigError: The address is none, or the function has no id.
    """
    where = "stt.bhashini_bhili"
    recogniser = Recogniser(
        function=function(context, where, options.function_id, options.function_version_id),
        connect_timeout_seconds=options.connect_timeout_seconds,
        final_timeout_seconds=options.final_timeout_seconds,
    )
    return BhiliSTTService(
        lambda language: Inferred(context.rate_hz, recogniser, language),
        language=context.vendor_language or "bhb",
        languages=BHILI_LANGUAGES,
        failures=FAILURES,
        ttfs_p99_seconds=TTFS_P99_SECONDS,
        rate_hz=context.rate_hz,
        max_speech_seconds=options.max_speech_seconds,
    )


def _inputs(samples: bytes, session: str, language: str, *, is_last: bool) -> list[Tensor]:
    """The model's inputs; what is no audio is the same in every request of a stream."""
    return [
        Tensor(name="AUDIO_CHUNK", datatype="FP32", count=len(samples) // 4, raw=samples),
        _text("LANG_ID", language),
        _text("SESSION_ID", session),
        Tensor(name="IS_FINAL", datatype="BOOL", count=1, raw=bytes([is_last])),
        _text("HOTWORD_LIST", ""),
        _number("HOTWORD_WEIGHT", 20.0),
        _number("ALPHA", 1.0),
        _number("BETA", 0.0),
    ]


def _text(name: str, value: str) -> Tensor:
    return Tensor(name=name, datatype="BYTES", count=1, raw=packed(value.encode()))


def _number(name: str, value: float) -> Tensor:
    return Tensor(name=name, datatype="FP32", count=1, raw=np.float32(value).tobytes())


def _is_last(answer: Inference, last_id: str) -> bool:
    closed = answer.outputs.get("SESSION_CLOSED", b"")
    return any(closed) or (bool(last_id) and answer.request_id == last_id)


def _printable(text: str) -> str:
    return "".join(c for c in text[:120] if c.isprintable())
