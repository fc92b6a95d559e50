"""How much of something may come, on average and at once."""


class Allowance:
    """Fills up by the second, and is used up by what comes.

    Args:
        per_second: How much may come on average.
        at_once: How much after a pause.
    """

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._left = at_once
        self._at: float | None = None

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Use up ``amount`` at loop time ``now``.

        Returns:
            Whether there was so much left; if not, nothing is used up.
        """
        if self._at is not None:
            grown = self._left + (now - self._at) * self._per_second
            self._left = min(self._at_once, grown)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True
