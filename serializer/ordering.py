"""Which audio packets are new, judged by the numbers that their sender gave them."""

from typing import Final

#: After so many old packets in a row (one second) it is the numbers that are wrong.
_PATIENCE_PACKETS: Final = 50


class PacketOrder:
    """Finds packets that came before, or too late.

    A packet is new if any of its numbers is higher than the last one's; one without numbers
    always is. Numbers that start anew are followed after a second, and numbers that never
    move are no longer believed: a caller must not go unheard because of a counter.
    """

    __slots__ = ("_believed", "_chunk", "_old_in_a_row", "_previous_old", "_sequence")

    def __init__(self) -> None:
        self._sequence = -1
        self._chunk = -1
        self._old_in_a_row = 0
        self._previous_old: tuple[int | None, int | None] | None = None
        self._believed = True

    def is_old(self, sequence: int | None, chunk: int | None = None) -> bool:
        """Whether a packet of these numbers is to be dropped; remembers them if it is not."""
        if (sequence is not None and sequence > self._sequence) or (
            chunk is not None and chunk > self._chunk
        ):
            self._accept(sequence, chunk)
            return False
        if not self._believed or (sequence is None and chunk is None):
            return False
        return self._is_really_old(sequence, chunk)

    def _is_really_old(self, sequence: int | None, chunk: int | None) -> bool:
        self._old_in_a_row += 1
        if self._old_in_a_row < _PATIENCE_PACKETS:
            self._previous_old = (sequence, chunk)
            return True
        self._believed = self._previous_old != (sequence, chunk)
        self._accept(sequence, chunk)
        return False

    def _accept(self, sequence: int | None, chunk: int | None) -> None:
        self._old_in_a_row = 0
        if sequence is not None:
            self._sequence = sequence
        if chunk is not None:
            self._chunk = chunk
