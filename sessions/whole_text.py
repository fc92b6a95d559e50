"""Takes half characters out of what vendors said, before anybody has to encode it.

JSON may hold half of a surrogate pair (``\\ud83d``), Python's reader lets it through, and no
encoder will have it: it would end a socket, a request or a file that has nothing to do with it.
"""

from dataclasses import fields, replace
from typing import Any

from bot.events import CallEvent


def with_whole_text(event: CallEvent) -> CallEvent:
    """The event itself, or a copy with a ``?`` for each half character."""
    halves: dict[str, Any] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, str) and not _is_whole(value):
            halves[field.name] = value.encode("utf-8", "replace").decode()
    return replace(event, **halves) if halves else event


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
