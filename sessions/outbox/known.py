"""The reports of one receiver that are known in memory: the first of those on disk."""

from bisect import insort
from contextlib import suppress
from dataclasses import dataclass, field

from sessions.outbox.folder import Inventory
from sessions.outbox.report import lane_of


@dataclass(slots=True)
class Lane:
    """The reports of one call.

    Attributes:
        names: In the order of their delivery.
        due: When the first of them is tried next, on the loop's clock.
    """

    names: list[str] = field(default_factory=list)
    due: float = 0.0
    tries: int = 0


class KnownReports:
    """What waits, by call.

    Args:
        most: Names that are kept; the rest is on disk alone.

    Attributes:
        count: All that wait on disk, but those in ``locked``.
        locked: Reports whose key is not known here, and its name.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.lanes: dict[str, Lane] = {}
        self.locked: dict[str, str] = {}
        self.count = 0
        self._written: dict[str, float] = {}

    @property
    def is_exhausted(self) -> bool:
        """More may lie on disk than is worth going on without."""
        return len(self._written) < min(self.count, self.most // 2)

    def oldest(self) -> float | None:
        """When the first of them was written (wall clock, seconds); None where there is none."""
        return min(self._written.values(), default=None)

    def found(self, inventory: Inventory) -> None:
        """What a look at the disk has shown, in the place of what was known."""
        before, self.lanes, self._written = self.lanes, {}, {}
        self.count = inventory.count
        for name, written_at in inventory.first:
            self._know(name, written_at)
        for key, lane in self.lanes.items():
            if key in before:
                lane.due, lane.tries = before[key].due, before[key].tries

    def added(self, name: str, written_at: float) -> None:
        """One more lies on disk."""
        self.count += 1
        # What is known is the beginning of what is there: nothing may be left out between.
        if len(self._written) == self.count - 1 < self.most:
            self._know(name, written_at)

    def forget(self, key: str, name: str) -> None:
        """It waits no more.

        Args:
            key: Of its lane.
        """
        self.count = max(0, self.count - 1)
        self._written.pop(name, None)
        lane = self.lanes.get(key)
        if lane is not None:
            with suppress(ValueError):
                lane.names.remove(name)
            if not lane.names:
                del self.lanes[key]

    def lock(self, key: str, name: str, key_name: str) -> None:
        """It stays on disk and is not tried: nobody has the key of that name."""
        self.forget(key, name)
        self.locked[name] = key_name

    def _know(self, name: str, written_at: float) -> None:
        lane = lane_of(name)
        if lane is not None and name not in self._written:
            self._written[name] = written_at
            insort(self.lanes.setdefault(lane, Lane()).names, name)
