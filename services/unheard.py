"""Notices speech that a streaming recogniser has no words for, and says so."""

import asyncio
from typing import Final

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
