"""What is wrong with an operator's file: where, what was found, what is allowed.

All problems of a file are collected, so that one look mends them all.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import fuzz, process

from config.errors import ConfigError
from config.phone import mask_number
from config.providers import option_spellings
from config.secrets import is_secret_key

KeyPath = tuple[str | int, ...]

#: Below this likeness (0 to 100) a suggestion would only confuse.
_SUGGESTION_CUTOFF = 55
#: Says of a key that it must be there.
MISSING = "is missing"


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
                # A key comes from a file, and messages go to logs and terminals.
                shown = part if part.isprintable() else repr(part)
                text += f".{shown}" if text else shown
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
        code: ``unequipped`` where the file is good and only this installation lacks something.
    """

    def __init__(
        self, file: Path | str, problems: Iterable[Problem], *, code: str = "config_invalid"
    ) -> None:
        self.file = str(file)
        self.problems = tuple(problems)
        super().__init__("\n".join(self._line(problem) for problem in self.problems), code=code)

    def _line(self, problem: Problem) -> str:
        where = self.file if problem.line is None else f"{self.file}:{problem.line}"
        return f"{where}: {problem}"


class PlacedErrors(ValueError):
    """Raised by a model's validator that found several mistakes at once.

    Args:
        messages: Each may begin with its place below the model: ``states.main.say: …``.
    """

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("; ".join(self.messages))


_MAPPINGS = (dict, Mapping)
_CONTAINERS = (*_MAPPINGS, list, tuple, Sequence)
_PLACED = re.compile(r"([A-Za-z_]\w*(?:\.[^\s.:]+)*): (.+)", re.DOTALL)


def placed(message: str, prefix: KeyPath = ()) -> Problem:
    """A problem from a message that may begin with its place."""
    match = _PLACED.fullmatch(message)
    if match is None:
        return Problem(path=prefix, message=message)
    parts = (int(part) if part.isdigit() else part for part in match[1].split("."))
    return Problem(path=(*prefix, *parts), message=match[2])


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
    several: list[Problem] = []
    details = [(d, _written_path(d, data)) for d in error.errors(include_url=False)]
    for detail, path in details:
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, PlacedErrors):
            several += [placed(message, (*prefix, *path)) for message in cause.messages]
        elif not _is_other_alternative(detail, path, [p for _, p in details]):
            messages = found.setdefault(path, [])
            message = _message(detail, model, path)
            if message not in messages:
                messages.append(message)
    joined = [
        Problem(path=(*prefix, *path), message=", or ".join(messages))
        for path, messages in found.items()
    ]
    return joined + several


def _is_other_alternative(detail: ErrorDetails, path: KeyPath, paths: list[KeyPath]) -> bool:
    """Whether this only says that a value, wrong further in, is not of some other type."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in paths)
    return deeper and detail["type"].endswith("_type")


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


def _message(detail: ErrorDetails, model: type[BaseModel], path: KeyPath) -> str:
    loc = detail["loc"]
    if detail["type"] == "extra_forbidden":
        return unknown("key", str(loc[-1]), known_keys(model_at(model, path[:-1])))
    if detail["type"] == "missing":
        return MISSING
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


def model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The model that stands at ``path`` inside ``model``, or None."""
    annotation: Any = model
    for part in path:
        annotation = _inner(annotation, part)
    return next((m for m in _members(annotation) if _is_model(m)), None)


def _inner(annotation: Any, part: str | int) -> Any:
    """What may stand under ``part`` of something so annotated; None where that is unknown."""
    for member in _members(annotation):
        if _is_model(member):
            field = option_spellings(member).get(str(part))
            if field is not None:
                return member.model_fields[field].annotation
        elif get_origin(member) in _CONTAINERS and get_args(member):
            return get_args(member)[-1 if get_origin(member) in _MAPPINGS else 0]
    return None


def _members(annotation: Any) -> list[Any]:
    """``annotation``, or the alternatives that it joins, without their metadata."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
