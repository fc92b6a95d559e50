"""``{{variable}}`` in texts.

``{{name}}`` becomes the variable's value, or nothing where there is none. In spoken texts a
value of digits only that came from a digits or phone slot is spaced out, so that a
synthesiser reads it digit by digit; ``{{name|digits}}`` asks for that with any variable and
``{{name|plain}}`` asks for the value as it stands.
"""

import re
from collections.abc import Collection, Mapping

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|\s*(digits|plain)\s*)?\}\}")
_SPACES = re.compile(r"[ \t]{2,}")


def variables_in(text: str) -> set[str]:
    """Names of the variables that ``text`` uses."""
    return {match[1] for match in _VARIABLE.finditer(text)}


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with plain values; for targets and for other variables."""
    return _VARIABLE.sub(lambda m: values.get(m[1], ""), text)


def fill_spoken(text: str, values: Mapping[str, str], spelled: Collection[str]) -> str:
    """``text`` to be spoken; variables named in ``spelled`` are read digit by digit."""

    def value(match: re.Match[str]) -> str:
        plain = values.get(match[1], "")
        if match[2] == "digits" or (match[2] is None and match[1] in spelled):
            return spell_digits(plain)
        return plain

    return _SPACES.sub(" ", _VARIABLE.sub(value, text)).strip()


def spell_digits(value: str) -> str:
    """``"9876543210"`` -> ``"9 8 7 6 5, 4 3 2 1 0"``: a pause after every five of ten digits."""
    digits = [c for c in value if c.isdigit()]
    if not digits:
        return value
    size = 5 if len(digits) == 10 else 4 if len(digits) > 6 else len(digits)
    groups = [" ".join(digits[i : i + size]) for i in range(0, len(digits), size)]
    return ", ".join(groups)
