"""The small pieces of a script: texts, names, sample phrases, and the shorthand for them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

SlotType = Literal["digit", "digits", "number", "phone", "yesno", "choice", "text"]
#: What a sample phrase may hold in braces, and what the caller's words become.
PLACEHOLDERS: tuple[str, ...] = ("digits", "digit", "number", "phone", "yesno")
#: Slot types that can be keyed in digit by digit.
KEYED_TYPES: frozenset[str] = frozenset({"digit", "digits", "number", "phone"})
KEYPAD_KEYS = "0123456789*#"

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LANGUAGE_TAG = re.compile(r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def _words(value: Any) -> str:
    if isinstance(value, bool):
        raise ValueError(f"expected a text, found {str(value).lower()}; put it in quotes")
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text to speak, found {value!r}")
    return value.strip()


def is_language_tag(value: Any) -> bool:
    """Whether ``value`` looks like ``hi`` or ``en-IN``."""
    return isinstance(value, str) and _LANGUAGE_TAG.match(value) is not None


def as_phrase(value: Any) -> Any:
    """A text, or a map of texts by language code; anything else is refused."""
    if not isinstance(value, Mapping):
        return _words(value)
    if not value:
        raise ValueError("expected a text for at least one language, found an empty map")
    for tag in value:
        if not is_language_tag(tag):
            raise ValueError(
                f"{tag!r} is not a language code; write it like hi, en-IN: "
                "a map under `say` holds one text per language"
            )
    return {tag: _words(text) for tag, text in value.items()}


Phrase = Annotated[str | dict[str, str], BeforeValidator(as_phrase)]
"""A text to speak, or one text per language code."""


def phrase_in(phrase: str | Mapping[str, str], language: str) -> str:
    """The text of ``phrase`` in ``language``: exact code, same language, else the first."""
    if isinstance(phrase, str):
        return phrase
    base = language.split("-")[0]
    for tag in (language, base):
        if tag in phrase:
            return phrase[tag]
    for tag, text in phrase.items():
        if tag.split("-")[0] == base:
            return text
    return next(iter(phrase.values()))


def _name(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"found {str(value).lower()} where a name is wanted; put it in quotes")
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError(
            f"{value!r} cannot be a name: use letters, digits and underscores, "
            "not starting with a digit"
        )
    return value


Name = Annotated[str, BeforeValidator(_name)]


def _sample(value: Any) -> Any:
    text = _words(value)
    for inner in _PLACEHOLDER.findall(text):
        kind, _, name = inner.partition(":")
        if kind not in PLACEHOLDERS:
            allowed = ", ".join(f"{{{p}}}" for p in PLACEHOLDERS)
            raise ValueError(f"unknown placeholder {{{inner}}} in {text!r}; there are {allowed}")
        if name:
            _name(name)
    if not _PLACEHOLDER.sub("x", text).strip(" .,!?।॥'\"-{}"):
        raise ValueError(f"sample {text!r} has no words")
    return text


Sample = Annotated[str, BeforeValidator(_sample)]


def placeholders_in(sample: str) -> list[tuple[str, str]]:
    """Type and variable name of each placeholder in ``sample``, left to right."""
    found = []
    for inner in _PLACEHOLDER.findall(sample):
        kind, _, name = inner.partition(":")
        found.append((kind, name or kind))
    return found


def bare_sample(sample: str) -> str:
    """``sample`` with every placeholder reduced to its type: ``{phone:mobile}`` -> ``{phone}``."""
    return _PLACEHOLDER.sub(lambda m: "{" + m[1].partition(":")[0] + "}", sample)


def as_list(value: Any) -> Any:
    """One thing or several, as a list."""
    return value if isinstance(value, list | tuple) else [value]


def as_choices(value: Any) -> Any:
    """Choices as a map of value to sample phrases; a bare value is its own sample."""
    if isinstance(value, list | tuple):
        return {_words(item): [item] for item in value}
    if isinstance(value, Mapping):
        listed = {_words(k): (as_list(v) if v is not None else [k]) for k, v in value.items()}
        return {k: v or [k] for k, v in listed.items()}
    return value


def as_case_names(value: Any) -> Any:
    """Keys of ``cases`` as text: YAML reads a bare 1 as a number."""
    if not isinstance(value, Mapping):
        return value
    words = {True: "yes", False: "no"}
    return {words[k] if isinstance(k, bool) else str(k): v for k, v in value.items()}
