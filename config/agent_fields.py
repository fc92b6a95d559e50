"""Values that several parts of an agent's file have: languages, numbers, things to say."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from config.errors import ConfigError
from config.languages import resolve_language
from config.phone import normalise_number

_MAX_TEXT = 2_000


def _resolved_language(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return resolve_language(text)
    except ConfigError as error:
        raise ValueError(error.message) from error


def _resolved_number(text: str) -> str:
    try:
        return normalise_number(text)
    except ConfigError as error:
        raise ValueError(error.message) from error


LanguageCode = Annotated[str, BeforeValidator(_resolved_language)]
PhoneNumber = Annotated[str, AfterValidator(_resolved_number)]
Phrase = Annotated[str, Field(max_length=_MAX_TEXT)]


class AgentSection(BaseModel):
    """A part of an agent's file: frozen, and nothing in it that we do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
