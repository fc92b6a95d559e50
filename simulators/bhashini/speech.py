"""What the simulated recogniser hears."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.base import names

STT_LANGUAGES: Final = names(
    "as bn brx doi gu hi kn kok ks mai ml mni mr ne or pa sa sat sd ta te ur"
)


@dataclass(frozen=True, slots=True)
class Heard:
    """Speech that was to be recognised.

    Attributes:
        number: Counted from 0 over the simulator.
        language: As the client named it.
        service_id: The recogniser that was asked for.
        duration_ms: How long it is.
        loudness: Mean size of its samples, 0 to 1.
    """

    number: int
    language: str
    service_id: str
    duration_ms: float
    loudness: float


#: Texts in turn, again from the first after the last; or by language (``*`` for any other); or
#: a function.
Texts = Sequence[str] | Mapping[str, str] | Callable[[Heard], str]


def choose(texts: Texts, heard: Heard) -> str:
    """What is recognised."""
    if callable(texts):
        return texts(heard)
    if isinstance(texts, Mapping):
        return texts.get(heard.language, texts.get("*", ""))
    return texts[heard.number % len(texts)] if texts else ""
