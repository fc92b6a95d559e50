"""Which dialect a socket speaks, judged by its first message."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from config.errors import WireError
from serializer.base import Dialect
from serializer.client import CLIENT_TYPES, ClientDialect
from serializer.reading import read_json
from serializer.vobiz import VOBIZ_EVENTS, VobizDialect, VobizOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectOptions:
    """What an operator decides about each dialect."""

    vobiz: VobizOptions = field(default_factory=VobizOptions)


class _FirstMessage(msgspec.Struct):
    type: Any = None
    event: Any = None


_DECODER: Final = msgspec.json.Decoder(_FirstMessage)
_DEFAULTS: Final = DialectOptions()


def detect_dialect(first_message: str | bytes, options: DialectOptions = _DEFAULTS) -> Dialect:
    """The dialect of the peer that sent ``first_message``, which it has still to decode.

    A client's message that is not ``auth`` gets a dialect too, so that the peer can be told.

    Raises:
        WireError: ``message_invalid`` or ``message_too_large`` if it cannot be read (the next
            message may do better), ``dialect_unknown`` if it is nobody's.
    """
    first = read_json(_DECODER, first_message)
    if isinstance(first.event, str) and first.event in VOBIZ_EVENTS:
        return VobizDialect(options.vobiz)
    if isinstance(first.type, str) and first.type in CLIENT_TYPES:
        return ClientDialect()
    raise WireError(
        "dialect_unknown",
        'the first message must be a client\'s {"type":"auth"} or a carrier\'s {"event":"start"}',
    )
