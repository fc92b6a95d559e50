"""From 8 kHz telephone audio to the features that the 16 kHz acoustic model was trained on.

The steps are those of sphinxbase's front end with the model's ``feat.params`` (25 mel filters
from 130 to 6800 Hz, noise removal, 13 liftered cepstra, slope and curve), checked against
pocketsphinx's own output. Two things are ours. A telephone passes nothing above 3.4 kHz, so the
upper seven filters are predicted from the lower eighteen. And the mean is taken over speech
alone, so that it does not depend on how much silence the voice detector left around it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from services.offline.bandwidth import UPPER_BANDS

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RATE_HZ = 8_000
FRAME_MS = 10

_HOP = 80
_WINDOW = 205
_FFT = 256
_FILTERS = 25
_HEARD = 18
_CEPSTRA = 13
_LOW_HZ, _HIGH_HZ = 130.0, 6800.0
_BIN_HZ = RATE_HZ / _FFT
_LOG_FLOOR = 1e-4
_DITHER = 10.0
#: Frames kept before and after speech; the model's silence needs something to hold on to.
_MARGIN_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Features:
    """One utterance, trimmed to its speech.

    Attributes:
        frames: ``(T, 39)``: cepstra, slope, curve; one row per 10 ms.
        active: ``(T,)`` true where there is speech rather than a pause.
    """

    frames: Floats
    active: NDArray[np.bool_]


def extract(samples: NDArray[np.int16], target_mean: Floats) -> Features | None:
    """Features of the speech in ``samples`` (8 kHz mono), or None if there is none.

    Args:
        samples: The utterance with whatever silence surrounds it.
        target_mean: Mean cepstra of speech in the model, to which this speech is moved.
    """
    if len(samples) < _WINDOW + 8 * _HOP:
        return None
    bands = _log_bands(samples)
    active = find_speech(bands)
    spoken = np.flatnonzero(active)
    if len(spoken) < 8:
        return None
    first = max(int(spoken[0]) - _MARGIN_FRAMES, 0)
    last = min(int(spoken[-1]) + _MARGIN_FRAMES + 1, len(bands))
    warm = max(first - 20, 0)
    clean = np.log(_remove_noise(np.exp(bands[warm:last])) + _LOG_FLOOR)
    cepstra = (clean @ _cosines().T)[first - warm :]
    active = active[first:last]
    cepstra += target_mean - cepstra[active].mean(axis=0)
    return Features(frames=_with_slopes(cepstra.astype(np.float32)), active=active)


def find_speech(bands: Doubles) -> NDArray[np.bool_]:
    """Which frames are louder than the pauses of the same utterance."""
    energy = np.log(np.exp(bands[:, 2:_HEARD]).sum(axis=1))
    top, floor = np.percentile(energy, (95, 5))
    found: NDArray[np.bool_] = energy > max(top - 7.5, floor + 0.25 * (top - floor))
    return found


def _log_bands(samples: NDArray[np.int16]) -> Doubles:
    """``(T, 25)`` log mel energies; the upper seven are predicted."""
    noise = np.random.default_rng(len(samples)).normal(0.0, _DITHER, len(samples))
    windows = np.lib.stride_tricks.sliding_window_view(samples + noise, _WINDOW)[::_HOP]
    spectrum = np.abs(np.fft.rfft(windows * np.hamming(_WINDOW), _FFT)) ** 2
    heard = np.log(spectrum @ _filters().T + _LOG_FLOOR)
    upper = heard @ UPPER_BANDS[:-1] + UPPER_BANDS[-1]
    return np.concatenate([heard, upper], axis=1)


@cache
def _filters() -> Doubles:
    """``(18, 129)`` triangles over the spectrum, with the pre-emphasis (0.97) folded in."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (_LOW_HZ, _HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, _FILTERS + 2) / 2595) - 1)
    edges = np.floor(edges / _BIN_HZ + 0.5) * _BIN_HZ
    frequencies = np.arange(_FFT // 2 + 1) * _BIN_HZ
    # A window of the same length holds half as many samples as at 16 kHz: four times the power.
    emphasis = 4 * np.abs(1 - 0.97 * np.exp(-2j * np.pi * frequencies / 16_000)) ** 2
    rows = []
    for left, peak, right in zip(edges[:_HEARD], edges[1:], edges[2:], strict=False):
        rise = (frequencies - left) / (peak - left)
        fall = (right - frequencies) / (right - peak)
        rows.append(np.maximum(np.minimum(rise, fall), 0) * 2 / (right - left) * emphasis)
    return np.array(rows)


@cache
def _cosines() -> Doubles:
    """``(13, 25)``: orthonormal DCT-II with the lifter (22) folded in."""
    order = np.arange(_CEPSTRA)
    table = np.cos(np.pi * order[:, None] * (np.arange(_FILTERS) + 0.5) / _FILTERS)
    table *= np.sqrt(2 / _FILTERS)
    table[0] = np.sqrt(1 / _FILTERS)
    lifted: Doubles = table * (1 + 11 * np.sin(order * np.pi / 22))[:, None]
    return lifted


@cache
def _smoothing() -> Doubles:
    index = np.arange(_FILTERS)
    near = np.abs(index[:, None] - index[None, :]) <= 4
    shares: Doubles = near / near.sum(axis=1, keepdims=True)
    return shares


def _remove_noise(power: Doubles) -> Doubles:
    """sphinxbase ``fe_noise.c``: the model was trained on its output."""
    gains = np.empty_like(power)
    smooth = power[0].copy()
    noise = power[0] / 20
    floor = power[0] / 20
    peak = np.zeros_like(noise)
    for t, row in enumerate(power):
        smooth = 0.7 * smooth + 0.3 * row
        noise = _lower_envelope(smooth, noise)
        signal = np.maximum(smooth - noise, 1.0)
        floor = _lower_envelope(signal, floor)
        peak *= 0.85
        masked = np.where(signal < 0.85 * peak, 0.2 * peak, signal)
        peak = np.maximum(peak, signal)
        gains[t] = np.maximum(masked, floor) / smooth
    cleaned: Doubles = power * (np.clip(gains, 0.05, 20.0) @ _smoothing().T)
    return cleaned


def _lower_envelope(value: Doubles, envelope: Doubles) -> Doubles:
    weight = np.where(value >= envelope, 0.995, 0.5)
    followed: Doubles = weight * envelope + (1 - weight) * value
    return followed


def _with_slopes(cepstra: Floats) -> Floats:
    """Append sphinx's ``1s_c_d_dd`` derivatives, repeating the ends."""
    count = len(cepstra)
    padded = np.concatenate([cepstra[:1].repeat(3, 0), cepstra, cepstra[-1:].repeat(3, 0)])

    def at(offset: int) -> Floats:
        return padded[3 + offset : 3 + offset + count]

    slope = at(2) - at(-2)
    curve = (at(3) - at(-1)) - (at(1) - at(-3))
    return np.concatenate([cepstra, slope, curve], axis=1)
