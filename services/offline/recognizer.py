"""What was said: the best phrase, and whether it is good enough to be believed."""

import math
from dataclasses import dataclass

import numpy as np
import soxr

from services.offline import frontend
from services.offline.acoustic_model import load_model
from services.offline.frontend import Features
from services.offline.grammar import phone_loop
from services.offline.search import Paths, Step, follow, score_senones, trace
from services.offline.vocabulary import Vocabulary, build_grammar
from services.offline.wire import NOTHING, Recognition

#: Cost of each phone of the competing phone loop, and of silence inside speech.
_LOOP_COST = 10.0
_SILENCE_COST = 10.0

#: Logistic regression over 1,250 utterances: ``bench.accuracy --tuning`` and phrases of other
#: languages. The constant is set so that 2 in 100 foreign phrases of those are believed.
_WEIGHT_FIT, _WEIGHT_LEAD, _WEIGHT_WEAKEST, _WEIGHT_SHORT = 2.16, 3.66, 0.77, -3.16
_BIAS = 3.0
_GREATEST_LEAD = 1.0
_SHORT_FRAMES = 30.0
#: Keeps phones of one or two frames from weighing too much.
_PHONE_FRAMES = 3
_NO_FIT = -20.0

#: Frames times nodes that may be kept at once; 5 bytes each.
_MAX_CELLS = 40_000_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the decision to believe a phrase rests on.

    Attributes:
        fit: Log-likelihood per frame of speech, relative to any phones in any order.
        lead: The same, relative to the next best phrase.
        weakest: As ``fit``, for the worst quarter of the phones: a foreign word in a sentence
            that is otherwise right shows here.
        frames: Frames of speech.
    """

    fit: float
    lead: float
    weakest: float
    frames: int

    @property
    def confidence(self) -> float:
        """Probability that the phrase is what was said, 0 to 1."""
        z = _BIAS + _WEIGHT_FIT * self.fit + _WEIGHT_LEAD * min(self.lead, _GREATEST_LEAD)
        z += _WEIGHT_WEAKEST * self.weakest + _WEIGHT_SHORT * _SHORT_FRAMES / self.frames
        return 1 / (1 + math.exp(-max(min(z, 50.0), -50.0)))


class Recognizer:
    """Hears the phrases of one vocabulary. Compiled once; holds no state between utterances.

    Args:
        vocabulary: What may be said.

    Raises:
        ProviderError: A package is missing or the vocabulary is too large.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._model = load_model()
        self._target = self._model.speech_mean()
        self._grammar = build_grammar(vocabulary)
        self._loop = phone_loop(self._model, _LOOP_COST)
        self._senones = np.union1d(self._grammar.network.senones, self._loop.senones).astype(
            np.int32
        )
        self._columns = np.searchsorted(self._senones, self._grammar.network.senones)
        self._loop_columns = np.searchsorted(self._senones, self._loop.senones)

    @property
    def nodes(self) -> int:
        """Size of the network."""
        return len(self._grammar.network.silent)

    def decode(self, pcm: bytes, *, rate_hz: int = 8_000, sensitivity: float = 0.5) -> Recognition:
        """Recognise one utterance, taking about 30 ms.

        Args:
            pcm: 16-bit little-endian mono, with some silence around the speech.
            rate_hz: Its sample rate.
            sensitivity: 0 accepts next to nothing, 1 everything.
        """
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        if rate_hz != frontend.RATE_HZ:
            samples = soxr.resample(samples, rate_hz, frontend.RATE_HZ, "HQ")
        features = frontend.extract(samples, self._target)
        if features is None or len(features.frames) * self.nodes > _MAX_CELLS:
            return NOTHING
        text, evidence = self.examine(features)
        confidence = evidence.confidence
        return Recognition(
            text=text,
            confidence=confidence,
            accepted=bool(text) and confidence >= 1 - sensitivity,
            speech_seconds=evidence.frames * frontend.FRAME_MS / 1000,
        )

    def examine(self, features: Features) -> tuple[str, Evidence]:
        """The best phrase and the evidence for it."""
        network = self._grammar.network
        scores = score_senones(self._model, features.frames, self._senones)
        paths = follow(network, scores[:, self._columns], features.active, _SILENCE_COST)
        ends = paths.ends[network.finals]
        winner = int(ends.argmax())
        best = float(ends[winner])
        rivals = ends[np.array(self._grammar.group_of) != self._grammar.group_of[winner]]
        free = follow(self._loop, scores[:, self._loop_columns], features.active, _SILENCE_COST)
        frames = max(int(features.active.sum()), 1)
        lead = (best - float(rivals.max())) / frames if len(rivals) else _GREATEST_LEAD
        steps = trace(network, paths, int(network.finals[winner]))
        evidence = Evidence(
            fit=(best - float(free.ends.max())) / frames,
            lead=lead,
            weakest=self._weakest(steps, paths, free),
            frames=frames,
        )
        return self._grammar.text([step.node for step in steps]), evidence

    def _weakest(self, steps: list[Step], paths: Paths, free: Paths) -> float:
        """Mean of the worst quarter of phones, each relative to any phones in its frames."""
        lasts = [step.last - 1 for step in steps]
        spoken = np.array([self._grammar.token_of[step.node] >= 0 for step in steps])
        nodes = [step.node for step in steps]
        gained = np.diff(paths.exits[lasts, nodes] - free.exits[lasts].max(axis=1), prepend=0.0)
        lengths = np.array([step.last - step.first for step in steps])
        worst = np.sort((gained / (lengths + _PHONE_FRAMES))[spoken])
        return float(worst[: max(len(worst) // 4, 1)].mean()) if len(worst) else _NO_FIT
