"""Voice activity of every call, from one shared Silero model.

One ONNX session serves the process; each call keeps its own recurrent state. Windows of
all calls that became ready within a few milliseconds run as one batch: in a batch of four a
window costs 0.43 of what it costs alone, in one of sixteen 0.30 (``python -m bench.vad_cost``).
A batch of eight takes about 0.4 ms on a busy machine, so it runs on the event loop and not in
a thread.

The model file ships in the Pipecat wheel (Silero VAD; 8 and 16 kHz; windows of 32 ms).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import onnxruntime
from loguru import logger
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
OnChange = Callable[[bool, float], Awaitable[None]]

WINDOW_MS = 32
#: How long windows wait for company before a batch runs.
BATCH_SECONDS = 0.010
#: Speech whose audio stops coming (a muted microphone, lost packets) ends after this long.
IDLE_SECONDS = 1.0
IDLE_CHECK_SECONDS = 0.2
#: Audio of one call that may wait: what is held before a call begins, and as much again that a
#: sender may be ahead of the clock. Of more, which comes where the loop stood still, the newest
#: counts.
MAX_PENDING_MS = 4000
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
        on_change: Awaited with True when the caller has begun to speak, False when they have
            stopped, and for how many milliseconds they had by then.
        params: Thresholds.
    """

    def __init__(
        self,
        rate_hz: int,
        on_change: OnChange,
        params: VadParams,
    ) -> None:
        if rate_hz not in (8000, 16000):
            raise ValueError(f"voice activity needs 8000 or 16000 Hz, not {rate_hz}")
        self.rate_hz = rate_hz
        self.params = params
        self.speaking = False
        self.on_change = on_change
        self.window_bytes = rate_hz * WINDOW_MS // 1000 * 2
        self.max_pending_bytes = rate_hz * MAX_PENDING_MS // 1000 * 2
        self.pending = bytearray()
        self.last_audio_at = 0.0
        self.forgotten = False
        self.change_ms = 0.0
        self.state: Float32 = np.zeros((2, 128), dtype=np.float32)
        self.context: Float32 = np.zeros(rate_hz // 250, dtype=np.float32)
        self._run = 0
        self._span = 0
        self._quiet_windows = 0
        self._windows_since_reset = 0

    def score(self, confidence: float, level: float) -> bool:
        """Take one window's result; tell whether the speaking phase changed."""
        self._maybe_reset(confidence)
        speech = confidence >= self.params.confidence and level >= self.params.min_level
        if speech == self.speaking:
            # The closure of a "t" or "p" is silent; it must not begin the count anew.
            self._run = 0 if self.speaking else max(0, self._run - 1)
            self._span = self._span + 1 if self._run else 0
            return False
        self._run += 1
        self._span += 1
        needed_ms = self.params.stop_ms if self.speaking else self.params.start_ms
        if self._run * WINDOW_MS < needed_ms:
            return False
        self.speaking = speech
        self.change_ms = float(self._span * WINDOW_MS)
        self._run = self._span = 0
        return True

    def fall_silent(self, idle_ms: float) -> None:
        """No more audio comes: what was being said is over."""
        self.speaking = False
        self.change_ms = idle_ms
        self._run = self._span = 0
        self.pending.clear()

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
        self._speaking: set[VoiceActivity] = set()
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
            await asyncio.wait([self._task])
            self._task = None

    def feed(self, activity: VoiceActivity, pcm: bytes) -> bool:
        """Add 16-bit little-endian mono samples at ``activity.rate_hz``.

        Returns:
            Whether all fits: else the oldest of what waits is left out.
        """
        if activity.forgotten:
            return True
        activity.last_audio_at = asyncio.get_running_loop().time()
        activity.pending += pcm
        if len(activity.pending) < activity.window_bytes:
            return True
        excess = len(activity.pending) - activity.max_pending_bytes
        if excess > 0:
            del activity.pending[:excess]
        self._ready.add(activity)
        self._wake.set()
        return excess <= 0

    def forget(self, activity: VoiceActivity) -> None:
        """Stop serving one call, for good."""
        activity.forgotten = True
        activity.pending.clear()
        self._ready.discard(activity)
        self._speaking.discard(activity)

    async def _serve(self) -> None:
        while True:
            await self._wait_for_work()
            self._wake.clear()
            while self._ready:
                batch = list(self._ready)
                for rate_hz in {a.rate_hz for a in batch}:
                    await self._serve_batch([a for a in batch if a.rate_hz == rate_hz], rate_hz)
                batch.clear()  # An ended call must not be kept until another one speaks.
                # A burst of one call must not hold up the others.
                await asyncio.sleep(0)
            await self._end_idle()

    async def _wait_for_work(self) -> None:
        """Wait for windows; while somebody speaks, no longer than their silence may last."""
        try:
            async with asyncio.timeout(IDLE_CHECK_SECONDS if self._speaking else None):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(BATCH_SECONDS)

    async def _end_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        for activity in list(self._speaking):
            idle_seconds = now - activity.last_audio_at
            if idle_seconds >= IDLE_SECONDS:
                activity.fall_silent(idle_seconds * 1000)
                await self._tell(activity)

    async def _serve_batch(self, batch: list[VoiceActivity], rate_hz: int) -> None:
        try:
            changed = self.run_batch(batch, rate_hz)
        except Exception:
            # Whatever the model refuses, the other calls must go on being heard.
            logger.exception("a batch of voice activity failed")
            for activity in batch:
                activity.pending.clear()
                self._ready.discard(activity)
            return
        for activity in changed:
            await self._tell(activity)

    async def _tell(self, activity: VoiceActivity) -> None:
        if activity.forgotten:
            return
        if activity.speaking:
            self._speaking.add(activity)
        else:
            self._speaking.discard(activity)
        try:
            await activity.on_change(activity.speaking, activity.change_ms)
        except Exception:
            # One call's trouble must not end the voice activity of all.
            logger.exception("a call failed to take its voice activity")

    def run_batch(self, batch: list[VoiceActivity], rate_hz: int) -> list[VoiceActivity]:
        """Score one window of each call.

        Returns:
            The calls whose speaking phase changed.
        """
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
        return changed
