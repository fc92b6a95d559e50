"""The slots of one state while they are being filled. Knows values; the words are the engine's."""

from collections.abc import Callable, Mapping
from typing import Literal

from services.script.fields import KEYED_TYPES
from services.script.matching import PhraseMatcher
from services.script.model import Slot
from services.script.numbers import spoken_digits
from services.script.slots import (
    keys_awaited,
    keys_complete,
    may_continue,
    read_digits,
    read_keys,
    read_speech,
)
from services.script.text import tokens
from services.script.yesno import yes_or_no

Outcome = Literal["filled", "confirm", "more", "denied", "unclear"]
"""What an answer came to: a value; a value to ask back; the beginning of a number; "no, that
is wrong"; nothing that fits."""

#: Keys that answer "is that right?".
_CONFIRM_KEYS = {"1": True, "#": True, "2": False, "*": False}


class Form:
    """Asks for slots one after another.

    Args:
        slots: Name to slot, in the order of asking.
        threshold: How sure a spoken choice must be, in percent.
        accept: Called with name, slot and value whenever a slot gets a value.
    """

    def __init__(
        self,
        slots: Mapping[str, Slot],
        threshold: float,
        accept: Callable[[str, Slot, str], None],
    ) -> None:
        self._slots = slots
        self._threshold = threshold
        self._accept = accept
        self._todo = list(slots)
        self._partial = ""
        self.name = ""
        self.tries = 0
        self.keys = ""
        self.pending: str | None = None

    @property
    def slot(self) -> Slot:
        """The slot being asked for; call :meth:`advance` first."""
        return self._slots[self.name]

    @property
    def keys_awaited(self) -> int:
        """How many keys may come at most before something happens."""
        if self.pending is None and self.slot.type in KEYED_TYPES:
            return keys_awaited(self.slot, self.keys)
        return 0 if self.pending is None and self.slot.type == "text" else 1

    def advance(self, told: Mapping[str, str]) -> Literal["ask", "confirm", "done"]:
        """Go to the next slot; one that the caller told already is not asked."""
        self.pending, self.tries, self.keys, self._partial = None, 0, "", ""
        while self._todo:
            self.name = self._todo.pop(0)
            known = told.get(self.name)
            value = None if known is None else read_speech(self.slot, known, self._threshold)
            if value is None:
                return "ask"
            if self._take(value) == "confirm":
                return "confirm"
        return "done"

    def hear(self, text: str) -> Outcome:
        """Take what the caller said."""
        self.keys = ""
        if self.pending is not None:
            return self._hear_confirmation(text)
        value = read_speech(self.slot, text, self._threshold)
        if value is None and self.slot.type in ("digits", "phone"):
            return self._join(spoken_digits(text))
        return "unclear" if value is None else self._take(value)

    def press(self, digit: str) -> Outcome | Literal["collecting", "menu"]:
        """Take one key: ``collecting`` awaits more, ``menu`` means it is none of the form's."""
        if self.pending is not None:
            is_right = _CONFIRM_KEYS.get(digit)
            return "menu" if is_right is None else self._confirm(is_right)
        if self.slot.type not in KEYED_TYPES:
            value = read_keys(self.slot, digit)
            return "menu" if value is None else self._take(value)
        if digit == "#":
            return self.end_keys()
        self.keys = "" if digit == "*" else self.keys + digit
        if digit != "*" and keys_complete(self.slot, self.keys):
            return self.end_keys()
        return "collecting"

    def end_keys(self) -> Outcome:
        """Take what was keyed in as complete."""
        keys, self.keys = self.keys, ""
        value = read_keys(self.slot, keys)
        return "unclear" if value is None else self._take(value)

    def attempts_left(self) -> bool:
        """Count a failure; whether the caller may try again."""
        self.tries += 1
        self._partial = ""
        return self.tries <= self.slot.retries

    def offers_value(self, text: str) -> bool:
        """Whether ``text`` holds a value of a kind that is not easily said by accident."""
        if self.slot.type in ("text", "yesno"):
            return False
        return read_speech(self.slot, text, self._threshold) is not None

    def choice_score(self, text: str) -> float:
        """How well ``text`` fits a choice, 0 to 100."""
        match = PhraseMatcher(self.slot.choices).best(text, self._threshold)
        return match.score if match else 0.0

    def _hear_confirmation(self, text: str) -> Outcome:
        if self.offers_value(text):
            corrected = read_speech(self.slot, text, self._threshold)
            if corrected is not None and corrected != self.pending:
                return self._take(corrected)
        meant = yes_or_no(tokens(text))
        return "unclear" if meant is None else self._confirm(meant == "yes")

    def _confirm(self, is_right: bool) -> Outcome:
        self.pending = None
        return "filled" if is_right else "denied"

    def _take(self, value: str) -> Outcome:
        self._partial = ""
        self._accept(self.name, self.slot, value)
        self.pending = value if self.slot.confirm else None
        return "confirm" if self.slot.confirm else "filled"

    def _join(self, digits: str) -> Outcome:
        """A number said in pieces: keep the first, and put the next behind it."""
        joined = self._partial + digits
        self._partial = ""
        value = read_digits(self.slot, joined)
        if value is not None:
            return self._take(value)
        if digits and may_continue(self.slot, joined):
            self._partial = joined
            return "more"
        return "unclear"
