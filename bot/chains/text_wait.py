"""How long a text is waited for, which depends on who is to give it."""

from collections.abc import Callable
from typing import Final

from pipecat.frames.frames import STTMetadataFrame

from bot.chains.deadline import Deadline
from bot.chains.member import Member

#: A vendor's longest usual time from the end of speech to its text, where it does not say.
USUAL_SECONDS: Final = 1.0


class TextWait:
    """Waits for one text at a time.

    Args:
        result_seconds: How long any vendor may take for the text of what the caller said.
        on_time_up: Called when none has come.
    """

    def __init__(self, result_seconds: float, on_time_up: Callable[[], object]) -> None:
        self._result_seconds = result_seconds
        self._deadline = Deadline(lambda _seconds: on_time_up())
        self._metadata: dict[Member, STTMetadataFrame] = {}

    def learn(self, member: Member, frame: STTMetadataFrame) -> None:
        """A vendor says how long it takes."""
        self._metadata[member] = frame

    def forget(self, member: Member) -> None:
        """Nothing more is awaited of a member."""
        self._metadata.pop(member, None)

    def said_by(self, member: Member) -> STTMetadataFrame | None:
        """What a member said of itself."""
        return self._metadata.get(member)

    def expect(self, member: Member) -> None:
        """A member owes a text."""
        self._deadline.set(max(self._result_seconds, self._usual_seconds(member)))

    def expect_more(self, member: Member | None) -> None:
        """All has its text; another may still come, which would be there by then."""
        self._deadline.set(self._usual_seconds(member))

    def stop(self) -> None:
        """Nothing is awaited."""
        self._deadline.stop()

    def _usual_seconds(self, member: Member | None) -> float:
        metadata = self._metadata.get(member) if member is not None else None
        return metadata.ttfs_p99_latency if metadata is not None else USUAL_SECONDS
