"""The protobuf messages of Bhashini's gRPC services, as bytes on one side and values on the other.

Their descriptions are put together here when this module is first imported: no generated code
that would be tied to one version of protobuf. Sources: the KServe v2 inference protocol, of which
Triton's ``ModelStreamInfer`` is part, and ``protocols/bhashini.md`` §4 for package ``tts``.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

SYNTHESIZE = "/tts.TTSService/Synthesize"
MODEL_STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"

_TYPES = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
}
#: Message, then its fields: number, "repeated" where it is one, type, name.
_TTS = {
    "SynthesizeRequest": ("1 string prompt", "2 string description", "3 string language"),
    "MetaFrame": ("1 string pid", "2 int32 sample_rate", "3 string dtype", "4 int32 channels"),
    "AudioChunk": ("1 bytes pcm_data",),
    "DoneFrame": ("1 string pid",),
    "SynthesizeResponse": ("1 MetaFrame meta", "2 AudioChunk audio", "3 DoneFrame done"),
}
_INFERENCE = {
    "InferTensorContents": ("8 repeated bytes bytes_contents",),
    "InferInputTensor": ("1 string name", "2 string datatype", "3 repeated int64 shape"),
    "ModelInferRequest": (
        "1 string model_name",
        "2 string model_version",
        "3 string id",
        "5 repeated InferInputTensor inputs",
        "7 repeated bytes raw_input_contents",
    ),
    "InferOutputTensor": (
        "1 string name",
        "2 string datatype",
        "3 repeated int64 shape",
        "5 InferTensorContents contents",
    ),
    "ModelInferResponse": (
        "3 string id",
        "5 repeated InferOutputTensor outputs",
        "6 repeated bytes raw_output_contents",
    ),
    "ModelStreamInferResponse": ("1 string error_message", "2 ModelInferResponse infer_response"),
}


def _classes(package: str, messages: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field in fields:
            number, *repeated, kind, field_name = field.split()
            many = FieldDescriptorProto.LABEL_REPEATED if repeated else None
            added = message.field.add(
                name=field_name,
                number=int(number),
                label=many or FieldDescriptorProto.LABEL_OPTIONAL,
            )
            if kind in _TYPES:
                added.type = _TYPES[kind]
            else:
                added.type = FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".{package}.{kind}"
    pool = DescriptorPool()
    pool.Add(file)
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages
    }


_tts = _classes("tts", _TTS)
_inference = _classes("inference", _INFERENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One input of a model: its shape is the number of its values.

    Attributes:
        datatype: ``FP32``, ``BYTES`` or ``BOOL``.
        count: Of its values.
        raw: The values, as Triton wants them without a tensor around them.
    """

    name: str
    datatype: str
    count: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What a model answered to one request of a stream.

    Attributes:
        request_id: Of the request.
        error: What the server says went wrong; empty if nothing.
        outputs: Raw values by the name of their output.
        texts: Values of outputs of type ``BYTES``.
    """

    request_id: str
    error: str
    outputs: Mapping[str, bytes]
    texts: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One message of the synthesiser; just one of these is set.

    Attributes:
        meta: Encoding, channels and rate in Hz of the audio that follows.
        audio: Float samples.
        done: There is no more.
    """

    meta: tuple[str, int, int] | None = None
    audio: bytes = b""
    done: bool = False


def synthesize_request(prompt: str, description: str, language: str) -> bytes:
    """What the synthesiser is asked."""
    message = _tts["SynthesizeRequest"](prompt=prompt, description=description, language=language)
    return bytes(message.SerializeToString())


def speech(data: bytes) -> Speech:
    """A message of the synthesiser.

    Raises:
        ValueError: It is none.
    """
    message = _parsed(_tts["SynthesizeResponse"], data)
    if message.HasField("meta"):
        meta = message.meta
        return Speech(meta=(meta.dtype, meta.channels, meta.sample_rate))
    return Speech(audio=message.audio.pcm_data, done=message.HasField("done"))


def infer_request(model: str, version: str, request_id: str, tensors: Sequence[Tensor]) -> bytes:
    """One request of a stream to a model."""
    message = _inference["ModelInferRequest"](
        model_name=model, model_version=version, id=request_id
    )
    for tensor in tensors:
        message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=[tensor.count])
        message.raw_input_contents.append(tensor.raw)
    return bytes(message.SerializeToString())


def inference(data: bytes) -> Inference:
    """A model's answer to one request.

    Raises:
        ValueError: It is none.
    """
    message = _parsed(_inference["ModelStreamInferResponse"], data)
    answer = message.infer_response
    outputs: dict[str, bytes] = {}
    texts: dict[str, tuple[str, ...]] = {}
    for place, output in enumerate(answer.outputs):
        has_raw = place < len(answer.raw_output_contents)
        raw = answer.raw_output_contents[place] if has_raw else b""
        outputs[output.name] = raw
        if output.datatype == "BYTES":
            values = _unpacked(raw) if has_raw else list(output.contents.bytes_contents)
            texts[output.name] = tuple(value.decode("utf-8", "replace") for value in values)
    return Inference(
        request_id=answer.id, error=message.error_message, outputs=outputs, texts=texts
    )


def packed(*values: bytes) -> bytes:
    """Values of type ``BYTES`` as Triton packs them: each behind its length.

    >>> packed(b"bhb")
    b'\\x03\\x00\\x00\\x00bhb'
    """
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def _unpacked(raw: bytes) -> list[bytes]:
    values = []
    place = 0
    while place + 4 <= len(raw):
        (size,) = struct.unpack_from("<I", raw, place)
        values.append(raw[place + 4 : place + 4 + size])
        place += 4 + size
    return values


def _parsed(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise ValueError("not the documented message") from error
