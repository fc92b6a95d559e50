"""The acoustic model in the pocketsphinx wheel, read into arrays.

It is ``en-us``, phonetically tied: 42 phones, each with its own codebook of 128 diagonal
Gaussians over three streams of 13 coefficients (cepstra, their slope, their curve), shared by
all its context-dependent states. File layouts are those of sphinxbase's ``s3file``,
``ptm_mgau.c`` and ``bin_mdef.c`` (pocketsphinx 5.1).
"""

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.offline.errors import recognizer_error

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

#: Emitting states of every phone's model, left to right without skips.
STATES = 3

_MAGIC = 0x11223344
_VARIANCE_FLOOR = 1e-4
_WORD_INTERNAL, _WORD_BEGIN, _WORD_END, _WORD_SINGLE = range(4)


@dataclass(frozen=True, slots=True)
class AcousticModel:
    """Everything needed to score frames of features against states ("senones").

    Attributes:
        phones: Names, such as ``AA`` and ``SIL``; the index is the phone's number.
        gaussians: Per stream, ``(27, phones * densities)``: for features ``x``,
            ``[x*x, x, 1] @ gaussians`` is the log-likelihood of each density.
        weights: Per phone, ``(streams, densities, senones of that phone)``, linear.
        senone_phone: Phone to which each senone belongs.
        senone_column: Its column in that phone's ``weights``.
        stay: ``(phones, 3)`` log-probability of staying in a state.
        leave: ``(phones, 3)`` log-probability of going on to the next one.
        triphone_keys: Sorted; one number per position in word, phone, left, right.
        triphone_senones: ``(triphones, 3)``, in the order of the keys.
        monophones: ``(phones, 3)`` senones without context.
    """

    phones: tuple[str, ...]
    gaussians: tuple[Floats, ...]
    weights: tuple[Floats, ...]
    senone_phone: Ints
    senone_column: Ints
    stay: Floats
    leave: Floats
    triphone_keys: Ints
    triphone_senones: Ints
    monophones: Ints

    def number(self, phone: str) -> int:
        """Index of a phone by name."""
        return self.phones.index(phone)

    def speech_mean(self) -> Floats:
        """Mean cepstra of all phones but silence and noise, ``(13,)``."""
        matrix = self.gaussians[0]
        means = (matrix[13:26] / (-2 * matrix[:13])).T.reshape(len(self.phones), -1, 13)
        rows = [
            np.average(means[phone], axis=0, weights=self.weights[phone][0].mean(axis=1))
            for phone, name in enumerate(self.phones)
            if name != "SIL" and not name.startswith("+")
        ]
        mean: Floats = np.array(rows).mean(axis=0).astype(np.float32)
        return mean

    def senones(
        self, phone: int, left: int | None, right: int | None, *, first: bool, last: bool
    ) -> tuple[int, int, int]:
        """The states of a phone between two others, in a given place of its word."""
        if left is not None and right is not None:
            position = _position(first=first, last=last)
            for place in (position, _WORD_INTERNAL):
                key = _triphone_key(place, phone, left, right)
                at = int(np.searchsorted(self.triphone_keys, key))
                if at < len(self.triphone_keys) and int(self.triphone_keys[at]) == key:
                    return _three(self.triphone_senones[at])
        return _three(self.monophones[phone])


def _three(row: Ints) -> tuple[int, int, int]:
    return int(row[0]), int(row[1]), int(row[2])


def _triphone_key(position: int, phone: int, left: int, right: int) -> int:
    return ((position * 64 + phone) * 64 + left) * 64 + right


def _position(*, first: bool, last: bool) -> int:
    if first:
        return _WORD_SINGLE if last else _WORD_BEGIN
    return _WORD_END if last else _WORD_INTERNAL


@cache
def load_model() -> AcousticModel:
    """Read the model once per process: about 0.1 s and 8 MB.

    Raises:
        ProviderError: pocketsphinx is not installed, or its model is not the one expected.
    """
    folder = model_folder() / "en-us"
    try:
        return _read(folder)
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise recognizer_error("model_broken", f"cannot read {folder.name}: {error}") from error


def model_folder() -> Path:
    """Where the wheel keeps its model and dictionary.

    Raises:
        ProviderError: pocketsphinx is not installed.
    """
    try:
        import pocketsphinx
    except ImportError as error:
        raise recognizer_error(
            "library_unavailable", "pocketsphinx is missing; pip install pocketsphinx"
        ) from error
    return Path(str(pocketsphinx.__file__)).parent / "model" / "en-us"


def _read(folder: Path) -> AcousticModel:
    names, monophones, keys, triphones, senone_phone = _read_definition(folder / "mdef")
    means = _read_gaussians(folder / "means")
    variances = [np.maximum(v, _VARIANCE_FLOOR) for v in _read_gaussians(folder / "variances")]
    transitions = _read_transitions(folder / "transition_matrices")
    mixture = _read_mixture(folder / "sendump", len(senone_phone))
    columns = np.zeros(len(senone_phone), np.int32)
    weights: list[Floats] = []
    for phone in range(len(names)):
        own = np.flatnonzero(senone_phone == phone)
        columns[own] = np.arange(len(own))
        weights.append(np.ascontiguousarray(mixture[:, :, own]))
    with np.errstate(divide="ignore"):
        states = np.arange(STATES)
        stay = np.log(transitions[:, states, states])
        leave = np.log(transitions[:, states, states + 1])
    return AcousticModel(
        phones=names,
        gaussians=tuple(_as_matrix(m, v) for m, v in zip(means, variances, strict=True)),
        weights=tuple(weights),
        senone_phone=senone_phone,
        senone_column=columns,
        stay=stay.astype(np.float32),
        leave=leave.astype(np.float32),
        triphone_keys=keys,
        triphone_senones=triphones,
        monophones=monophones,
    )


def _as_matrix(mean: Floats, variance: Floats) -> Floats:
    """Diagonal Gaussians ``(phones, densities, n)`` as one matrix over ``[x*x, x, 1]``."""
    precision = 1.0 / variance
    constant = -0.5 * ((mean * mean * precision).sum(-1) + np.log(2 * np.pi * variance).sum(-1))
    stacked = np.concatenate([-0.5 * precision, mean * precision, constant[..., None]], axis=-1)
    flat: Floats = stacked.reshape(-1, stacked.shape[-1]).T.astype(np.float32)
    return np.ascontiguousarray(flat)


def _body(path: Path) -> NDArray[np.int32]:
    """The 32-bit words after an S3 header."""
    data = path.read_bytes()
    start = data.index(b"endhdr\n") + len(b"endhdr\n")
    words = np.frombuffer(data, "<i4", offset=start, count=(len(data) - start) // 4)
    if int(words[0]) != _MAGIC:
        raise ValueError(f"{path.name} has another byte order")
    return words[1:]


def _read_gaussians(path: Path) -> list[Floats]:
    words = _body(path)
    books, streams, densities = (int(w) for w in words[:3])
    lengths = [int(w) for w in words[3 : 3 + streams]]
    count = int(words[3 + streams])  # a checksum follows the values
    values = words[4 + streams :][:count].view("<f4").reshape(books, -1)
    found: list[Floats] = []
    start = 0
    for length in lengths:
        block = values[:, start : start + densities * length]
        found.append(block.reshape(books, densities, length).astype(np.float32))
        start += densities * length
    return found


def _read_transitions(path: Path) -> Floats:
    words = _body(path)
    count, sources, targets = (int(w) for w in words[:3])
    values = words[4:][: count * sources * targets].view("<f4")
    table = values.reshape(count, sources, targets).astype(np.float32)
    shares: Floats = table / table.sum(-1, keepdims=True)
    return shares


def _read_mixture(path: Path, senones: int) -> Floats:
    """Mixture weights, stored as ``-log(p)`` in base 1.0001 shifted right by 10 bits."""
    data = path.read_bytes()
    offset = 0
    facts: dict[str, str] = {}
    while True:
        (length,) = struct.unpack_from("<i", data, offset)
        offset += 4
        if length == 0:
            break
        name, _, value = data[offset : offset + length].rstrip(b"\0\n").decode().partition(" ")
        facts[name] = value
        offset += length
    if facts.get("cluster_count", "0") != "0":
        raise ValueError("sendump is clustered")
    streams = int(facts["feature_count"])
    densities, columns = struct.unpack_from("<2i", data, offset)
    size = streams * densities * columns
    raw = np.frombuffer(data, np.uint8, size, offset + 8).reshape(streams, densities, columns)
    steps = raw.astype(np.float32) * np.float32(1024 * np.log(1.0001))
    weights: Floats = np.exp(-steps)
    return weights[:, :, :senones]


_UNIT = np.dtype([("sequence", "<i4"), ("transitions", "<i4"), ("context", "u1", 4)])


def _read_definition(path: Path) -> tuple[tuple[str, ...], Ints, Ints, Ints, Ints]:
    """Phone names, monophones, triphone keys, their senones, and each senone's phone."""
    data = path.read_bytes()
    if data[:4] != b"BMDF":
        raise ValueError("mdef is not binary")
    (described,) = struct.unpack_from("<i", data, 8)
    start = 12 + described
    header = struct.unpack_from("<10i", data, start)
    phone_count, unit_count, senone_count = header[0], header[1], header[4]
    sequence_count, tree_count = header[6], header[8]
    end = start + 40
    for _ in range(phone_count):
        end = data.index(b"\0", end) + 1
    names = tuple(data[start + 40 : end - 1].decode().split("\0"))
    end += -(end - start) % 4
    units = np.frombuffer(data, _UNIT, unit_count, end + tree_count * 8)
    after = end + tree_count * 8 + unit_count * _UNIT.itemsize
    sequences = np.frombuffer(data, "<u2", sequence_count * STATES, after + 4)
    states = sequences.reshape(-1, STATES).astype(np.int32)[units["sequence"]]
    context = units["context"].astype(np.int32)
    owner = np.zeros(senone_count, np.int32)
    owner[states[phone_count:]] = context[phone_count:, 1, None]
    owner[states[:phone_count]] = np.arange(phone_count, dtype=np.int32)[:, None]
    keys = ((context[:, 0] * 64 + context[:, 1]) * 64 + context[:, 2]) * 64 + context[:, 3]
    order = np.argsort(keys[phone_count:])
    return (
        names,
        states[:phone_count],
        keys[phone_count:][order],
        states[phone_count:][order],
        owner,
    )
