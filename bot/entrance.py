"""Where what the caller does enters the pipeline, also while the vendors still connect."""

from collections import deque

from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessor

#: Caller audio kept until the pipeline runs; a vendor that takes longer misses the oldest.
MAX_HELD_SECONDS = 10.0


class Entrance:
    """Hands frames to the first processor, in order; holds them until it runs.

    Pipecat would hold them too, but without a bound.

    Args:
        front: The first processor.
    """

    def __init__(self, front: FrameProcessor) -> None:
        self._front = front
        self._held: deque[Frame] = deque()
        self._held_seconds = 0.0
        self._open = False
        self.dropped_seconds = 0.0

    async def put(self, frame: Frame) -> None:
        """Let one frame in, or hold it."""
        if self._open and not self._held:
            await self._front.queue_frame(frame)
            return
        self._held.append(frame)
        self._held_seconds += _seconds(frame)
        if self._open:
            await self._let_in()
        else:
            self._drop_oldest()

    async def open(self) -> None:
        """The pipeline runs: let in what was held."""
        self._open = True
        await self._let_in()

    def close(self) -> None:
        """The call is over: nothing more is let in."""
        self._held.clear()
        self._open = False

    async def _let_in(self) -> None:
        while self._held:
            await self._front.queue_frame(self._held.popleft())
        self._held_seconds = 0.0

    def _drop_oldest(self) -> None:
        """Drop audio, oldest first; what the caller pressed or began is kept."""
        while self._held_seconds > MAX_HELD_SECONDS:
            index = next(i for i, frame in enumerate(self._held) if _seconds(frame))
            seconds = _seconds(self._held[index])
            del self._held[index]
            self._held_seconds -= seconds
            self.dropped_seconds += seconds


def _seconds(frame: Frame) -> float:
    if isinstance(frame, InputAudioRawFrame):
        return frame.num_frames / frame.sample_rate
    return 0.0
