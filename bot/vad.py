"""Voice activity of every call, from one shared Silero model.

One ONNX session serves the process; each call keeps its own recurrent state. Windows of
all calls that became ready within a few milliseconds run as one batch: a window alone costs
63-84 us, in a batch of 16 about 20 us per call (measured on one core of a 2-core machine).
A batch of eight takes about 0.2 ms, which is why it runs on the event loop and not in a thread.

The model file ships in the Pipecat wheel (Silero VAD; 8 and 16 kHz; windows of 32 ms).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

WINDOW_MS = 32
#: How long windows wait for company before a batch runs.
BATCH_SECONDS = 0.010
#: The recurrent state goes deaf after long non-speech; Pipecat 1.14 resets it so, and so do we.
RESET_AFTER_WINDOWS = 63
RESET_BELOW_CONFIDENCE = 0.1
RESET_QUIET_WINDOWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VadParams:
    """When speech counts as begun and ended.

    Attributes:
        confidence: Model output, 0 to 1, from which a window counts as speech.
        start_ms: Speech for this long begins a speaking phase.
        stop_ms: Silence for this long ends it.
        min_level: Root mean square of a window, 0 to 1, below which nothing is speech.
    """

    confidence: float = 0.6
    start_ms: int = 160
    stop_ms: int = 200
    min_level: float = 0.003


class VoiceActivity:
    """One call's voice activity.

    Args:
        rate_hz: 8000 or 16000.
        on_change: Awaited with True when the caller begins to speak, False when they stop.
        params: Thresholds.
    """

    def __init__(
        self,
        rate_hz: int,
        on_change: Callable[[bool], Awaitable[None]],
        params: VadParams,
    ) -> None:
        if rate_hz not in (8000, 16000):
            raise ValueError(f"voice activity needs 8000 or 16000 Hz, not {rate_hz}")
        self.rate_hz = rate_hz
        self.params = params
        self.speaking = False
        self.on_change = on_change
        self.window_bytes = rate_hz * WINDOW_MS // 1000 * 2
        self.pending = bytearray()
        self.state: Float32 = np.zeros((2, 128), dtype=np.float32)
        self.context: Float32 = np.zeros(rate_hz // 250, dtype=np.float32)
        self._run = 0
        self._quiet_windows = 0
        self._windows_since_reset = 0

    def score(self, confidence: float, level: float) -> bool:
        """Take one window's result; tell whether the speaking phase changed."""
        self._maybe_reset(confidence)
        speech = confidence >= self.params.confidence and level >= self.params.min_level
        if speech == self.speaking:
            self._run = 0
            return False
        self._run += 1
        needed_ms = self.params.stop_ms if self.speaking else self.params.start_ms
        if self._run * WINDOW_MS < needed_ms:
            return False
        self.speaking = speech
        self._run = 0
        return True

    def _maybe_reset(self, confidence: float) -> None:
        self._windows_since_reset += 1
        quiet = confidence < RESET_BELOW_CONFIDENCE
        self._quiet_windows = self._quiet_windows + 1 if quiet else 0
        if (
            not self.speaking
            and self._windows_since_reset >= RESET_AFTER_WINDOWS
            and self._quiet_windows >= RESET_QUIET_WINDOWS
        ):
            self.state[:] = 0
            self.context[:] = 0
            self._windows_since_reset = 0


@cache
def _load_session() -> onnxruntime.InferenceSession:
    """The process's one model session, single-threaded so that it never fights the loop."""
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    model = resources.files("pipecat.audio.vad.data").joinpath("silero_vad.onnx").read_bytes()
    return onnxruntime.InferenceSession(
        model, sess_options=options, providers=["CPUExecutionProvider"]
    )


class VadEngine:
    """Runs the windows of all calls in batches; one per process, started with the server."""

    def __init__(self) -> None:
        self._session = _load_session()
        self._ready: set[VoiceActivity] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve."""
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="vad-engine")

    async def stop(self) -> None:
        """Stop serving; windows that wait are dropped."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def feed(self, activity: VoiceActivity, pcm: bytes) -> None:
        """Add 16-bit little-endian mono samples at ``activity.rate_hz``."""
        activity.pending += pcm
        if len(activity.pending) >= activity.window_bytes:
            self._ready.add(activity)
            self._wake.set()

    def forget(self, activity: VoiceActivity) -> None:
        """Stop serving one call."""
        activity.pending.clear()
        self._ready.discard(activity)

    async def _serve(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(BATCH_SECONDS)
            self._wake.clear()
            while self._ready:
                batch = list(self._ready)
                for rate_hz in {a.rate_hz for a in batch}:
                    await self._run_batch([a for a in batch if a.rate_hz == rate_hz], rate_hz)

    async def _run_batch(self, batch: list[VoiceActivity], rate_hz: int) -> None:
        size = batch[0].window_bytes
        joined = b"".join(bytes(a.pending[:size]) for a in batch)
        windows = np.frombuffer(joined, np.int16).reshape(len(batch), -1).astype(np.float32)
        windows /= 32768.0
        levels = np.sqrt(np.mean(np.square(windows), axis=1)).tolist()
        inputs = np.concatenate((np.stack([a.context for a in batch]), windows), axis=1)
        confidences, states = self._session.run(
            None,
            {
                "input": inputs,
                "state": np.stack([a.state for a in batch], axis=1),
                "sr": np.array(rate_hz, dtype=np.int64),
            },
        )
        changed: list[VoiceActivity] = []
        for row, activity in enumerate(batch):
            del activity.pending[:size]
            if len(activity.pending) < size:
                self._ready.discard(activity)
            activity.context = inputs[row, -len(activity.context) :].copy()
            activity.state = states[:, row].copy()
            if activity.score(float(confidences[row, 0]), levels[row]):
                changed.append(activity)
        for activity in changed:
            await activity.on_change(activity.speaking)
