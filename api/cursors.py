"""Marks a place in a list of calls, for the next page: signed, and good for one filter only."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import astuple
from typing import Final

import msgspec
from pydantic import SecretStr

from storage.index.entry import CallFilter, Place

_SIGNATURE_BYTES: Final = 16
_DIGEST_BYTES: Final = 8
MAX_CHARS: Final = 512


class CursorError(ValueError):
    """A cursor that this server has not given, or has given for another filter."""


class _Mark(msgspec.Struct, frozen=True, array_like=True):
    started_at_ms: int
    session_id: str
    digest: bytes


class Cursors:
    """Makes and reads cursors.

    Args:
        secret: Signs them; servers that share it take each other's.
    """

    def __init__(self, secret: SecretStr) -> None:
        key = secret.get_secret_value().encode()
        self._key = hmac.digest(key, b"cursors of calls", "sha256")

    def make(self, place: Place, wanted: CallFilter) -> str:
        """The cursor of what comes after ``place`` in the list of ``wanted``."""
        mark = _Mark(place.started_at_ms, place.session_id, _digest(wanted))
        body = msgspec.msgpack.encode(mark)
        return base64.urlsafe_b64encode(self._sign(body) + body).rstrip(b"=").decode()

    def read(self, cursor: str, wanted: CallFilter) -> Place:
        """The place that a cursor marks.

        Raises:
            CursorError: It is none of ours, or of another filter.
        """
        try:
            padded = cursor[:MAX_CHARS].encode("ascii") + b"=" * (-len(cursor) % 4)
            data = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error, ValueError):
            raise CursorError("this is no cursor") from None
        signature, body = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(body)):
            raise CursorError("this cursor was not given by this server")
        mark = msgspec.msgpack.decode(body, type=_Mark)
        if mark.digest != _digest(wanted):
            raise CursorError("this cursor belongs to another filter; begin without one")
        return Place(mark.started_at_ms, mark.session_id)

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_SIGNATURE_BYTES]


def _digest(wanted: CallFilter) -> bytes:
    data = msgspec.json.encode(astuple(wanted))
    return hashlib.sha256(data).digest()[:_DIGEST_BYTES]
