"""What is wrong with an operator's file: where, what was found, what is allowed.

All problems of a file are collected, so that one look mends them all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import process

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
        word, list(choices), score_cutoff=_SUGGESTION_CUTOFF, processor=str.casefold
    )
    return None if found is None else str(found[0])


def unknown(what: str, word: str, choices: Iterable[str]) -> str:
    """A message for a word that is not among ``choices``."""
    known = list(choices)
    guess = nearest(word, known)
    hint = f"; did you mean {guess!r}?" if guess is not None else ""
    return f"unknown {what} {word!r}{hint} (allowed: {', '.join(known) or 'none'})"


def from_validation(
    error: ValidationError,
    model: type[BaseModel],
    *,
    prefix: KeyPath = (),
    line: Callable[[KeyPath], int | None] = lambda _: None,
) -> list[Problem]:
    """The problems that pydantic found in ``model``, in this server's words."""
    problems = []
    for detail in error.errors(include_url=False):
        path: KeyPath = (*prefix, *detail["loc"])
        message = _message(detail, model)
        problems.append(Problem(path=path, message=message, line=line(path)))
    return problems


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    loc = detail["loc"]
    if detail["type"] == "extra_forbidden":
        return unknown("key", str(loc[-1]), known_keys(model_at(model, loc[:-1])))
    if detail["type"] == "missing":
        return "is missing"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{message}{_found(loc, detail['input'])}"


def _found(loc: tuple[int | str, ...], value: object) -> str:
    if any(is_secret_key(str(part)) for part in loc):
        return ""
    if "phone_numbers" in loc or "transfer_to" in loc:
        value = mask_number(str(value))
    if isinstance(value, dict):
        return " (found a mapping)"
    if isinstance(value, list):
        return " (found a list)"
    text = repr(value)
    return f" (found {text if len(text) <= 60 else text[:57] + '...'})"


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
