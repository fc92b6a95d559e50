"""Reading a slot's value from what was said or keyed."""

from services.script.matching import PhraseMatcher
from services.script.model import Slot
from services.script.numbers import phone_number, spoken_digits, spoken_number
from services.script.text import tokens
from services.script.yesno import yes_or_no

#: A free text is kept to this many characters.
MAX_TEXT_LENGTH = 500


def read_speech(slot: Slot, text: str, threshold: float) -> str | None:
    """The value said in ``text``, or None where there is none that fits the slot."""
    if slot.type == "yesno":
        return yes_or_no(tokens(text))
    if slot.type == "choice":
        match = PhraseMatcher(slot.choices).best(text, threshold)
        return match.name if match else None
    if slot.type == "text":
        return text.strip()[:MAX_TEXT_LENGTH] or None
    if slot.type == "number":
        number = spoken_number(text)
        return number if number is not None and _in_range(slot, number) else None
    return read_digits(slot, spoken_digits(text))


def read_keys(slot: Slot, keys: str) -> str | None:
    """The value keyed in as ``keys``, or None where it does not fit the slot."""
    if slot.type == "yesno":
        return {"1": "yes", "2": "no"}.get(keys)
    if slot.type == "choice":
        names = list(slot.choices)
        index = int(keys) - 1 if keys.isascii() and keys.isdecimal() else -1
        return names[index] if 0 <= index < len(names) else None
    if slot.type == "number":
        number = spoken_number(keys)
        return number if number is not None and _in_range(slot, number) else None
    return None if slot.type == "text" else read_digits(slot, keys)


def read_digits(slot: Slot, digits: str) -> str | None:
    """``digits`` as the value of a digit, digits or phone slot, or None if they don't fit."""
    if slot.type == "phone":
        return phone_number(digits)
    low, high = slot.digit_range
    return digits if low <= len(digits) <= high else None


def may_continue(slot: Slot, digits: str) -> bool:
    """Whether ``digits`` may be the beginning of a value that is said in pieces."""
    if slot.type not in ("digits", "phone") or not digits:
        return False
    return len(digits) < slot.digit_range[0]


def keys_complete(slot: Slot, keys: str) -> bool:
    """Whether no further key is awaited."""
    if slot.type == "phone":
        return len(keys) >= (11 if keys.startswith("0") else 10)
    if slot.type == "number":
        return len(keys) >= 12
    return len(keys) >= slot.digit_range[1]


def keys_awaited(slot: Slot, keys: str) -> int:
    """How many further keys may come at most."""
    if slot.type == "phone":
        return max(0, (11 if keys.startswith("0") else 10) - len(keys))
    high = 12 if slot.type == "number" else slot.digit_range[1]
    return max(0, high - len(keys))


def _in_range(slot: Slot, number: str) -> bool:
    value = float(number)
    return (slot.min is None or value >= slot.min) and (slot.max is None or value <= slot.max)
