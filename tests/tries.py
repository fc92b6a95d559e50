"""When a call that went wrong is placed again, and what its further calls have to show."""

from dataclasses import dataclass

#: A call that was wrong, and nothing is known to have disturbed it, has to be right so often.
RIGHT_AGAIN = 3


@dataclass
class Tries:
    """One kind of call, in as many calls as it takes to be sure of it.

    Attributes:
        right: Calls that were as they should be.
        disturbed: Calls that were not, and the machine is known to have stood still in them.
        doubts: Calls that were not, and nothing is known to have disturbed them.
    """

    right: int = 0
    disturbed: int = 0
    doubts: int = 0

    def add(self, *, wrong: bool, disturbed: bool) -> None:
        """Count one more call."""
        if not wrong:
            self.right += 1
        elif disturbed:
            self.disturbed += 1
        else:
            self.doubts += 1

    @property
    def is_good(self) -> bool:
        """Whether it goes as it should."""
        return self.doubts < 2 and self.right >= (RIGHT_AGAIN if self.doubts else 1)

    @property
    def is_unsure(self) -> bool:
        """Whether another call may tell."""
        return self.doubts < 2 and not self.is_good
