"""Which voices the ``espeakng-loader`` wheel carries, read from its files.

Reading the files rather than asking the library lets an agent file be checked without loading
it. A voice is a text file below ``lang`` with lines such as ``name Hindi`` and ``language hi``;
a variant (another timbre for any voice) is a file below ``voices/!v``.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One voice of the library.

    Attributes:
        name: English name, such as ``Hindi``.
        file: Name of its file, by which the library finds it: ``hi``, ``en-US``.
        code: Language it speaks, in lower case: ``hi``, ``en-us``.
    """

    name: str
    file: str
    code: str


@cache
def voices() -> tuple[Voice, ...]:
    """Every voice, by code; empty where the wheel is not installed."""
    data = _data_path()
    if data is None:
        return ()
    files = (path for path in (data / "lang").rglob("*") if path.is_file())
    return tuple(sorted(map(_read, files), key=lambda voice: voice.code))


@cache
def variants() -> frozenset[str]:
    """Names that may follow ``+``; empty where the wheel is not installed."""
    data = _data_path()
    return (
        frozenset(path.name for path in (data / "voices" / "!v").iterdir()) if data else frozenset()
    )


def voice_file(voice: str) -> str:
    """What the library calls ``voice``.

    Args:
        voice: A language code or file name in any case, with ``+variant`` if wanted.

    Raises:
        ValueError: There is no such voice or variant; the message names the nearest ones.
    """
    code, plus, variant = voice.partition("+")
    file = _files().get(code.lower())
    if file is None:
        raise ValueError(_unknown("voice", code, _files()))
    if plus and variant not in variants():
        raise ValueError(_unknown("variant", variant, variants()))
    return f"{file}{plus}{variant}"


@cache
def _files() -> dict[str, str]:
    return {name: voice.file for voice in voices() for name in (voice.file.lower(), voice.code)}


def _unknown(what: str, name: str, known: frozenset[str] | dict[str, str]) -> str:
    nearest = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
    return f"espeak has no {what} {name!r}{hint}"


def _read(path: Path) -> Voice:
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    fields = {line[0]: line[1:] for line in reversed(lines) if len(line) > 1}
    return Voice(name=" ".join(fields["name"]), file=path.name, code=fields["language"][0].lower())


def _data_path() -> Path | None:
    spec = find_spec("espeakng_loader")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], "espeak-ng-data")
