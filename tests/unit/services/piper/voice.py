"""A voice of the smallest kind: an ONNX model, written here byte by byte, that hums.

Real voices cannot be had without the internet. This one takes what they take and gives what they
give, a tone of 300 Hz and `MS_PER_ID` for each phoneme, so that everything around the network's
weights is the real thing: Piper's phonemes, its ids, onnxruntime.
"""

import json
from pathlib import Path

import numpy as np
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from simulators.bhashini.protobuf import field

RATE_HZ = 22_050
MS_PER_ID = 40
FREQUENCY_HZ = 300
_FLOAT, _INT64 = 1, 7


def write_voice(folder: Path, name: str = "hi_IN-hum-low", *, espeak: str = "hi") -> Path:
    """Write a voice; its ``.onnx`` file."""
    file = folder / f"{name}.onnx"
    file.write_bytes(_model())
    description = {
        "audio": {"sample_rate": RATE_HZ},
        "espeak": {"voice": espeak},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "num_symbols": 256,
        "num_speakers": 1,
    }
    Path(f"{file}.json").write_text(json.dumps(description), encoding="utf-8")
    return file


def _model() -> bytes:
    """Each phoneme's id, times nothing, plus a piece of the tone."""
    times = np.arange(RATE_HZ * MS_PER_ID // 1000) / RATE_HZ
    hum = (np.sin(2 * np.pi * FREQUENCY_HZ * times) * 0.5).astype("<f4")
    nodes = [
        _node("Cast", ["input"], "ids", field(5, field(1, "to") + field(3, 1) + field(20, 2))),
        _node("Unsqueeze", ["ids", "last"], "column"),
        _node("Mul", ["column", "zero"], "nothing"),
        _node("Add", ["nothing", "hum"], "pieces"),
        _node("Reshape", ["pieces", "flat"], "output"),
    ]
    tensors = [
        _tensor("last", _INT64, [1], np.array([2], "<i8").tobytes()),
        _tensor("zero", _FLOAT, [1], np.zeros(1, "<f4").tobytes()),
        _tensor("hum", _FLOAT, [len(hum)], hum.tobytes()),
        _tensor("flat", _INT64, [4], np.array([1, 1, 1, -1], "<i8").tobytes()),
    ]
    inputs = [
        _value("input", _INT64, ["batch", "phonemes"]),
        _value("input_lengths", _INT64, ["batch"]),
        _value("scales", _FLOAT, ["three"]),
    ]
    graph = b"".join(field(1, node) for node in nodes) + field(2, "hum")
    graph += b"".join(field(5, tensor) for tensor in tensors)
    graph += b"".join(field(11, value) for value in inputs)
    graph += field(12, _value("output", _FLOAT, ["batch", "one", "also_one", "time"]))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 15))


def _node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    named = b"".join(field(1, name) for name in inputs)
    return named + field(2, output) + field(3, output) + field(4, kind) + attribute


def _tensor(name: str, kind: int, shape: list[int], raw: bytes) -> bytes:
    return (
        b"".join(field(1, size) for size in shape) + field(2, kind) + field(8, name) + field(9, raw)
    )


def _value(name: str, kind: int, shape: list[str]) -> bytes:
    sizes = b"".join(field(1, field(2, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, sizes)))
