"""What is wrong with an operator's file: where, what was found, what is allowed.

All problems of a file are collected, so that one look mends them all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import fuzz, process

from config.errors import ConfigError
from config.phone import mask_number
from config.secrets import is_secret_key

KeyPath = tuple[str | int, ...]

#: Below this likeness (0 to 100) a suggestion would only confuse.
_SUGGESTION_CUTOFF = 55


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend.

    Attributes:
        path: Keys and list positions that lead to it; empty for the whole file.
        message: What was found, what is allowed and, where there is one, a way out.
        line: Line of the file, counted from one; None where it isn't known.
    """

    path: KeyPath
    message: str
    line: int | None = None

    @property
    def field(self) -> str:
        """The path as a person writes it: ``stt.deepgram.model`` or ``phone_numbers[0]``."""
        text = ""
        for part in self.path:
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                text += f".{part}" if text else part
        return text

    def at(self, line: int | None) -> "Problem":
        """The same problem with its line."""
        return replace(self, line=line)

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.path else self.message


class ConfigFileError(ConfigError):
    """A file that cannot be used, with every reason.

    Attributes:
        file: The file as it was named to us.
        problems: At least one.
    """

    def __init__(self, file: Path | str, problems: Iterable[Problem]) -> None:
        self.file = str(file)
        self.problems = tuple(problems)
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    def _line(self, problem: Problem) -> str:
        where = self.file if problem.line is None else f"{self.file}:{problem.line}"
        return f"{where}: {problem}"


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like ``word``, or None where nothing is close."""
    found = process.extractOne(
        word,
        list(choices),
        scorer=fuzz.ratio,
        processor=str.casefold,
        score_cutoff=_SUGGESTION_CUTOFF,
    )
    return None if found is None else str(found[0])


def unknown(what: str, word: str, choices: Iterable[str]) -> str:
    """A message for a word that is not among ``choices``."""
    known = list(choices)
    guess = nearest(word, known)
    hint = f"; did you mean {guess!r}?" if guess is not None else ""
    return f"unknown {what} {word!r}{hint} (allowed: {', '.join(known) or 'none'})"


def from_validation(
    error: ValidationError, model: type[BaseModel], data: Any, *, prefix: KeyPath = ()
) -> list[Problem]:
    """The problems that pydantic found when it read ``data`` as ``model``, in our words.

    What the members of a union each said of one value becomes one problem.
    """
    found: dict[KeyPath, list[str]] = {}
    for detail in error.errors(include_url=False):
        path = _written_path(detail, data)
        messages = found.setdefault(path, [])
        message = _message(detail, model)
        if message not in messages:
            messages.append(message)
    return [
        Problem(path=(*prefix, *path), message=", or ".join(messages))
        for path, messages in found.items()
    ]


def _written_path(detail: ErrorDetails, data: Any) -> KeyPath:
    """The part of an error's location that stands in the file: unions add words of their own."""
    path: list[str | int] = []
    current = data
    for part in detail["loc"]:
        if (isinstance(current, dict) and part in current) or (
            isinstance(current, list) and isinstance(part, int) and part < len(current)
        ):
            current = current[part]  # type: ignore[index]
        elif detail["type"] != "missing" or part != detail["loc"][-1]:
            continue
        path.append(part)
    return tuple(path)


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    loc = detail["loc"]
    if detail["type"] == "extra_forbidden":
        return unknown("key", str(loc[-1]), known_keys(model_at(model, loc[:-1])))
    if detail["type"] == "missing":
        return "is missing"
    message = detail["msg"].removeprefix("Value error, ")
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    found = _found(loc, detail["input"], is_type_error=detail["type"].endswith("_type"))
    return message if found is None else f"{message} (found {found})"


def _found(loc: KeyPath, value: object, *, is_type_error: bool) -> str | None:
    """``value`` for a message; None where it must not be shown or would tell nothing."""
    if any(is_secret_key(str(part)) for part in loc) or isinstance(value, BaseModel | SecretStr):
        return None
    if isinstance(value, dict | list | tuple):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        return kind if is_type_error else None
    if "phone_numbers" in loc or "transfer_to" in loc:
        return mask_number(str(value))
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def known_keys(model: type[BaseModel] | None) -> list[str]:
    """The keys an operator may write in ``model``, without the older spellings."""
    return [] if model is None else list(model.model_fields)


def model_at(model: type[BaseModel], loc: Iterable[str | int]) -> type[BaseModel] | None:
    """The model that stands at ``loc`` inside ``model``, where that is one model."""
    current: Any = model
    for part in loc:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = None if field is None else _only_model(field.annotation)
        if current is None:
            return None
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _only_model(annotation: Any) -> type[BaseModel] | None:
    """The one model named anywhere in ``annotation``; None for none or several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType) or get_args(annotation):
        found = {m for m in map(_only_model, get_args(annotation)) if m is not None}
        return found.pop() if len(found) == 1 else None
    return None
