"""What the fields of settings are made of: sections, addresses, lists, and their variables."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Env:
    """Marks a field that an environment variable sets."""

    name: str


class SettingsSection(BaseModel):
    """Base of all sections: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with http:// or https://")
    return value.rstrip("/")


def _origin(value: str) -> str:
    parts = urlsplit(_http_url(value))
    if parts.path or parts.query or parts.username is not None or "*" in value:
        raise ValueError("must be an origin such as https://app.example.in, without a path or *")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def listed(value: object) -> object:
    """A list, or what an environment variable can hold of one: words between commas."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Origin = Annotated[str, AfterValidator(_origin)]
