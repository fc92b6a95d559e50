"""A Whisper model of the smallest kind, with random weights, in CTranslate2's format.

Real weights cannot be had without the internet. What this one reads is noise, and CTranslate2 takes
it for one of English alone; that it is loaded, given 16 kHz audio and asked in a thread is the real
thing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

Array = NDArray[np.float32]
_SIZE, _MELS, _TEXTS, _SOUNDS = 16, 80, 448, 1500


def write_model(folder: Path) -> Path:
    """Write a model; its folder."""
    tokens = _tokenizer(folder)
    spec = ctranslate2.specs.WhisperSpec(1, 2, 1, 2)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.config.lang_ids = [tokens.index(f"<|{code}|>") for code in _LANGUAGE_CODES]
    spec.register_vocabulary(tokens)
    random = np.random.default_rng(1)

    def weights(*shape: int) -> Array:
        values: Array = (random.standard_normal(shape) * 0.05).astype(np.float32)
        return values

    _fill(spec.encoder.conv1, weights(_SIZE, _MELS, 3), np.zeros(_SIZE, np.float32))
    _fill(spec.encoder.conv2, weights(_SIZE, _SIZE, 3), np.zeros(_SIZE, np.float32))
    spec.encoder.position_encodings.encodings = weights(_SOUNDS, _SIZE)
    spec.decoder.position_encodings.encodings = weights(_TEXTS, _SIZE)
    spec.decoder.embeddings.weight = weights(len(tokens), _SIZE)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    for stack in (spec.encoder, spec.decoder):
        _norm(stack.layer_norm)
        for layer in stack.layer:
            for attention in (layer.self_attention, getattr(layer, "attention", None)):
                if attention is not None:
                    _attention(attention, weights)
            _norm(layer.ffn.layer_norm)
            _fill(layer.ffn.linear_0, weights(4 * _SIZE, _SIZE), np.zeros(4 * _SIZE, np.float32))
            _fill(layer.ffn.linear_1, weights(_SIZE, 4 * _SIZE), np.zeros(_SIZE, np.float32))
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    return folder


def _attention(attention: Any, weights: Callable[..., Array]) -> None:
    _norm(attention.layer_norm)
    sizes = [3 * _SIZE, _SIZE] if len(attention.linear) == 2 else [_SIZE, 2 * _SIZE, _SIZE]
    for linear, size in zip(attention.linear, sizes, strict=True):
        _fill(linear, weights(size, _SIZE), np.zeros(size, np.float32))


def _fill(part: Any, weight: Array, bias: Array) -> None:
    part.weight, part.bias = weight, bias


def _norm(part: Any) -> None:
    part.gamma, part.beta = np.ones(_SIZE, np.float32), np.zeros(_SIZE, np.float32)


def _tokenizer(folder: Path) -> list[str]:
    """Write ``tokenizer.json``; all tokens in the order of their ids."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|startoftranscript|>"]
    special += [f"<|{code}|>" for code in _LANGUAGE_CODES]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    special += ["<|nospeech|>", "<|notimestamps|>"]
    special += [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
    tokens = [*letters, *special]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokens
