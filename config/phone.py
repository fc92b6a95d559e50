"""Telephone numbers: one written form (E.164), and one that may be shown."""

import re

from config.errors import ConfigError

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS = re.compile(r"[\s().-]")


def normalise_number(text: str) -> str:
    """``text`` as E.164; Indian national forms (``098…``, ``98…``, ``9198…``) get ``+91``.

    Raises:
        ConfigError: It is not a telephone number; the message masks it.
    """
    digits = _SEPARATORS.sub("", text)
    if digits.isascii() and digits.isdigit():
        national = digits.removeprefix("00").removeprefix("0")
        if len(national) == 10:
            digits = f"+91{national}"
        elif len(national) == 12 and national.startswith("91") or digits.startswith("00"):
            digits = f"+{national}"
    if _E164.fullmatch(digits):
        return digits
    raise ConfigError(
        f"{mask_number(text)} is not a telephone number; write it like +91 98 1234 5678",
        code="invalid_number",
    )


def mask_number(text: str) -> str:
    """``text`` with all digits but the last two hidden, for logs and messages."""
    last = max(0, sum(c.isdigit() for c in text) - 2)
    seen = 0
    shown = []
    for c in text:
        seen += c.isdigit()
        shown.append("*" if c.isdigit() and seen <= last else c)
    return "".join(shown)
