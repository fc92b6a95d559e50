"""Notices speech that a streaming recogniser has no words for, and says so."""

import asyncio
from typing import Any, Final

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import STTService

from services.offline.frames import UnrecognizedSpeechFrame

#: A recogniser that is asked for the rest need not answer where there is none; longer than answers
#: take (99 in 100 within 0.35 s).
ANSWER_SECONDS: Final = 0.8


class Unheard:
    """Follows what one caller says and what the recogniser makes of it.

    Where voice activity says that speech has ended, and the recogniser's last word about it is
    an empty text, an ``UnrecognizedSpeechFrame`` is pushed, so that the turn ends at once.

    Args:
        service: The recogniser, which pushes it.
    """

    def __init__(self, service: STTService) -> None:
        self._service = service
        self._speaking = False
        self._awaited = False
        self._has_text = False
        self._alive = False
        self._began_at = 0.0
        self._duration_seconds = 0.0
        self._waiting: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None

    @property
    def awaited(self) -> bool:
        """Whether speech has ended whose text has not come."""
        return self._awaited

    def started(self) -> None:
        """Voice activity: the caller speaks."""
        self._speaking = True
        if not self._awaited:
            # A text that came too late belongs to what was said before.
            self._has_text = False
        self._began_at = asyncio.get_running_loop().time()
        self._stop_waiting()

    def stopped(self) -> None:
        """Voice activity: the caller is silent; the recogniser was asked for the rest."""
        if not self._speaking:
            return
        loop = asyncio.get_running_loop()
        self._speaking, self._awaited, self._alive = False, True, False
        self._duration_seconds = loop.time() - self._began_at
        self._stop_waiting()
        self._waiting = loop.call_later(ANSWER_SECONDS, self._give_up_waiting)

    def alive(self) -> None:
        """The recogniser says anything at all."""
        self._alive = True

    async def final(self, text: str, *, is_answer: bool) -> None:
        """The recogniser is sure of a text.

        Args:
            text: May be empty.
            is_answer: Whether it is the last that it has to say of speech that has ended.
        """
        self._alive = True
        self._has_text = self._has_text or bool(text)
        if is_answer and self._awaited and not self._speaking:
            await self._conclude()

    def forget(self) -> None:
        """Nothing more will come."""
        self._awaited = self._speaking = False
        self._stop_waiting()

    async def _conclude(self) -> None:
        empty, self._has_text, self._awaited = not self._has_text, False, False
        self._stop_waiting()
        if empty:
            await self._service.push_frame(
                UnrecognizedSpeechFrame(
                    duration_seconds=self._duration_seconds, answered=self._alive
                )
            )

    def _give_up_waiting(self) -> None:
        self._waiting = None
        self._telling = self._service.create_task(self._conclude(), "unheard")

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class TellsUnheard(STTService):
    """Mixin, to stand before one of Pipecat's recognisers that pushes each text when it is sure.

    A vendor that answers where it understood nothing has its service tell ``_unheard`` so.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._unheard = Unheard(self)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._unheard.started()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._unheard.stopped()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Note what was understood."""
        await super().push_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            await self._unheard.final(frame.text.strip(), is_answer=True)

    async def stop(self, frame: EndFrame) -> None:
        """End; nothing more is awaited."""
        self._unheard.forget()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End at once."""
        self._unheard.forget()
        await super().cancel(frame)
