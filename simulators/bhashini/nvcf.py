"""Bhashini's models on NVIDIA's cloud functions: Bhili recognition and Parler speech, over gRPC."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from simulators import tone
from simulators.base import names, new_id
from simulators.bhashini.protobuf import field, fields, integers, packed_strings, strings
from simulators.connection import Connection
from simulators.pace import Pace
from simulators.rpc import RpcHandler, RpcRefusal, RpcSimulator

SYNTHESIZE: Final = "/tts.TTSService/Synthesize"
MODEL_STREAM_INFER: Final = "/inference.GRPCInferenceService/ModelStreamInfer"
STT_RATE_HZ: Final = 16_000
TTS_RATE_HZ: Final = 44_100
_ENCODING: Final = "pcm_f32le"
_TTS_LANGUAGES: Final = names(
    "as bn brx doi gu hi kn kok ks mai ml mni mr ne or pa sa sat sd ta te ur bhb bhli"
)
_INPUTS: Final[Mapping[str, str]] = {
    "AUDIO_CHUNK": "FP32",
    "LANG_ID": "BYTES",
    "SESSION_ID": "BYTES",
    "IS_FINAL": "BOOL",
    "HOTWORD_LIST": "BYTES",
    "HOTWORD_WEIGHT": "FP32",
    "ALPHA": "FP32",
    "BETA": "FP32",
}
_VALUE_BYTES: Final = {"FP32": 4, "BOOL": 1}


@dataclass(slots=True)
class Prompt:
    """A text that was, or is being, spoken.

    Attributes:
        frequency_hz: The tone that it is heard by.
        duration_ms: How long the whole of it is.
        sent_ms: How much of it was sent.
    """

    text: str
    description: str
    language: str
    frequency_hz: int
    duration_ms: float
    sent_ms: float = 0.0


@dataclass(slots=True)
class Session:
    """Speech that was recognised in one stream.

    Attributes:
        session_id: As the client named it.
        samples: How many came.
        is_over: The client has said so.
    """

    session_id: str
    samples: int = 0
    is_over: bool = False

    @property
    def duration_ms(self) -> float:
        """How much was said."""
        return self.samples / STT_RATE_HZ * 1000


class NvcfSimulator(RpcSimulator):
    """``ModelStreamInfer`` of the Bhili model, and ``Synthesize`` of Parler.

    Args:
        texts: What is recognised, stream by stream.
        final_ms: Time from the last request to the final text.
        sends_final: Whether the last request is answered at all.
        speed: Multiple of real time at which audio comes.
        options: As of every simulator.

    Attributes:
        heard: What was recognised, in order.
        spoken: What was spoken, in order.
    """

    vendor: ClassVar[str] = "bhashini-nvcf"
    unary_paths: ClassVar[tuple[str, ...]] = (SYNTHESIZE,)

    def __init__(
        self,
        *,
        texts: Sequence[str] = ("मां मदद जुवे",),
        final_ms: float = 0.0,
        sends_final: bool = True,
        speed: float = 20.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.texts = texts
        self.final_ms = final_ms
        self.sends_final = sends_final
        self.speed = speed
        self.heard: list[Session] = []
        self.spoken: list[Prompt] = []

    def rpcs(self) -> Mapping[str, RpcHandler]:
        """The two models."""
        return {SYNTHESIZE: self._synthesize, MODEL_STREAM_INFER: self._infer}

    def _authenticate(self, connection: Connection) -> None:
        headers = connection.received.headers
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key or self.api_key not in (None, key):
            self._refuse(connection, "UNAUTHENTICATED", "no key, or a wrong one")
        if not headers.get("function-id"):
            self._refuse(connection, "NOT_FOUND", "no function-id")

    def _refuse(self, connection: Connection, status: str, detail: str) -> None:
        self.violate(f"call {connection.index}: {detail}")
        raise RpcRefusal(status, detail)

    # -- speech ------------------------------------------------------------------------

    async def _synthesize(self, context: Any, connection: Connection) -> None:
        self._authenticate(connection)
        prompt = self._prompt(connection)
        self.spoken.append(prompt)
        connection.accepted()
        self.changed()
        behaviour, pid = connection.behaviour, new_id()
        rate_hz = behaviour.audio_rate_hz or TTS_RATE_HZ
        meta = field(1, pid) + field(2, rate_hz) + field(3, "float32") + field(4, 1)
        await self.say(context, connection, field(1, meta))
        pace = Pace(behaviour.speed or self.speed)
        whole = tone.chunk(prompt.frequency_hz, _ENCODING, rate_hz)
        audio = tone.tone(prompt.frequency_hz, prompt.duration_ms, _ENCODING, rate_hz)
        size = len(whole) - (3 if behaviour.odd_frames else 0)
        for start in range(0, 0 if behaviour.empty else len(audio), size):
            if connection.due_error():
                raise RpcRefusal("INTERNAL", "synthesis failed")
            piece = audio[start : start + size]
            await self.say(context, connection, field(2, field(1, piece)))
            connection.sent(len(piece))
            prompt.sent_ms += tone.CHUNK_MS * len(piece) / len(whole)
            await pace.after(tone.CHUNK_MS * len(piece) / len(whole))
        if connection.silent:
            await connection.lie_low()
        await self.say(context, connection, field(3, field(1, pid)))

    def _prompt(self, connection: Connection) -> Prompt:
        try:
            found = {number: bytes(value).decode() for number, value in _only_bytes(connection)}
        except ValueError as error:
            raise RpcRefusal("INVALID_ARGUMENT", str(error)) from error
        text, description, language = (found.get(number, "") for number in (1, 2, 3))
        if not text.strip() or not description.strip():
            self._refuse(connection, "INVALID_ARGUMENT", "prompt and description are required")
        if language not in _TTS_LANGUAGES:
            self._refuse(connection, "INVALID_ARGUMENT", f"unknown language {language!r}")
        if extra := set(found) - {1, 2, 3}:
            self.violate(f"call {connection.index}: unknown fields {sorted(extra)}")
        return Prompt(
            text,
            description,
            language,
            tone.frequency(len(self.spoken)),
            tone.speech_ms(text),
        )

    # -- recognition -------------------------------------------------------------------

    async def _infer(self, context: Any, connection: Connection) -> None:
        import grpc

        self._authenticate(connection)
        session = Session("")
        number = len(self.heard)
        self.heard.append(session)
        connection.accepted()
        text = self.texts[number % len(self.texts)] if self.texts else ""
        words = [] if connection.behaviour.empty else text.split()
        count = 0
        while (data := await context.read()) is not grpc.aio.EOF:
            try:
                request_id = self._take(connection, session, data, count)
            except (ValueError, KeyError, TypeError) as error:
                self.violate(f"call {connection.index}: {error}")
                await self.say(context, connection, field(1, f"invalid request: {error}"))
                continue
            count += 1
            if connection.due_error():
                await self.say(context, connection, field(1, "inference failed"))
                return
            if session.is_over:
                await asyncio.sleep(self.final_ms / 1000)
                if not self.sends_final:
                    await connection.lie_low()
            heard = words if session.is_over else words[:count]
            answer = _answer(request_id, " ".join(heard), closed=session.is_over)
            await self.say(context, connection, answer)
        if connection.silent:
            await connection.lie_low()

    def _take(self, connection: Connection, session: Session, data: bytes, count: int) -> str:
        """Check one request; its id."""
        if session.is_over:
            raise ValueError("a request behind the last one")
        model, version, request_id, tensors = _request(data)
        if (model, version) != ("asr_streaming", "1"):
            raise ValueError(f"unknown model {model} {version}")
        if set(tensors) != set(_INPUTS):
            raise ValueError(f"inputs {sorted(tensors)}")
        if strings(tensors["LANG_ID"]) != ["bhb"]:
            raise ValueError("unknown language")
        (name,) = strings(tensors["SESSION_ID"])
        session.session_id = session.session_id or name
        if not name or name != session.session_id or request_id != f"{name}-c{count}":
            raise ValueError(f"request {request_id} of session {name}")
        samples = np.frombuffer(tensors["AUDIO_CHUNK"], dtype="<f4")
        if not np.isfinite(samples).all() or np.abs(samples).max(initial=0.0) > 1.0:
            raise ValueError("samples beyond -1 to 1")
        session.samples += len(samples)
        session.is_over = tensors["IS_FINAL"] != b"\x00"
        connection.hear(tensors["AUDIO_CHUNK"])
        return request_id


def _only_bytes(connection: Connection) -> list[tuple[int, bytes]]:
    found = []
    for number, value in fields(connection.received.body):
        if isinstance(value, int):
            raise ValueError(f"field {number} is a number")
        found.append((number, value))
    return found


def _request(data: bytes) -> tuple[str, str, str, dict[str, bytes]]:
    """Model, version, id and the raw values of each input of a ``ModelInferRequest``."""
    texts = {1: "", 2: "", 3: ""}
    inputs: list[tuple[str, str, int]] = []
    raw: list[bytes] = []
    for number, value in fields(data):
        if isinstance(value, int) or number not in (1, 2, 3, 5, 7):
            raise ValueError(f"field {number} of the request")
        if number in texts:
            texts[number] = value.decode()
        elif number == 5:
            inputs.append(_input(value))
        else:
            raw.append(value)
    if len(inputs) != len(raw):
        raise ValueError(f"{len(inputs)} inputs, {len(raw)} of them with values")
    for (name, datatype, count), content in zip(inputs, raw, strict=True):
        if _INPUTS.get(name) != datatype:
            raise ValueError(f"input {name} of type {datatype}")
        found = (
            len(strings(content)) if datatype == "BYTES" else len(content) / _VALUE_BYTES[datatype]
        )
        if found != count:
            raise ValueError(f"input {name}: {found} values in a shape of {count}")
    tensors = {name: content for (name, _, _), content in zip(inputs, raw, strict=True)}
    return texts[1], texts[2], texts[3], tensors


def _input(data: bytes) -> tuple[str, str, int]:
    """Name, type and number of values of an ``InferInputTensor``."""
    name = datatype = ""
    shape: list[int] = []
    for number, value in fields(data):
        if number == 3:
            shape += integers(value)
        elif number == 1 and isinstance(value, bytes):
            name = value.decode()
        elif number == 2 and isinstance(value, bytes):
            datatype = value.decode()
        else:
            raise ValueError(f"field {number} of an input")
    if len(shape) != 1:
        raise ValueError(f"input {name}: shape {shape}")
    return name, datatype, shape[0]


def _answer(request_id: str, text: str, *, closed: bool) -> bytes:
    """A ``ModelStreamInferResponse``."""
    values = (text,) if text else ()
    transcript = field(1, "PARTIAL_TRANSCRIPT") + field(2, "BYTES") + field(3, bytes([len(values)]))
    session = field(1, "SESSION_CLOSED") + field(2, "BOOL") + field(3, b"\x01")
    response = field(1, "asr_streaming") + field(2, "1") + field(3, request_id)
    response += field(5, transcript) + field(5, session)
    response += field(6, packed_strings(*values)) + field(6, bytes([closed]))
    return field(2, response)
