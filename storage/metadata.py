"""Facts that lie beside an object, in any script, and how they travel in HTTP headers.

S3 keeps metadata as headers, and those hold printable ASCII. Anything else is written as
RFC 8187 says (``UTF-8''%E0%A4%95``), which other programs can read too. Runs of spaces are
written so as well, since the signature of a request takes them for one.
"""

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote, unquote

from config.errors import StorageError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_PLAIN = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_MARK = "UTF-8''"
#: Most that one value may take in a header, and S3's limit for all of them together, in bytes.
_MAX_VALUE_BYTES = 1024
_MAX_BYTES = 2048
#: Joiners are Unicode's "format" characters, and Indian scripts are written with them.
_JOINERS = "\u200c\u200d"


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return a copy of ``metadata`` if every store can keep it.

    Raises:
        StorageError: ``storage_invalid``: a name that is no lower-case header name, a value
            that is empty, begins or ends with a space, holds control characters, or takes over
            1,024 bytes in a header (113 letters of Hindi), or over 2,048 bytes in all.
    """
    metadata = dict(metadata or {})
    for name, value in metadata.items():
        if not _NAME.fullmatch(name) or not _storable(value):
            raise StorageError("storage_invalid", f"metadata {name[:64]!r} cannot be stored")
    if sum(len(name) + len(to_header(value)) for name, value in metadata.items()) > _MAX_BYTES:
        message = f"metadata takes over {_MAX_BYTES} bytes: {', '.join(metadata)[:200]}"
        raise StorageError("storage_invalid", message)
    return metadata


def to_header(value: str) -> str:
    """``value`` as a header holds it."""
    if _PLAIN.fullmatch(value) and not value.startswith(_MARK):
        return value
    return _MARK + quote(value, safe=" ").replace("  ", "%20%20")


def from_header(text: str) -> str:
    """What :func:`to_header` was given."""
    if not text.startswith(_MARK):
        return text
    return unquote(text.removeprefix(_MARK), errors="replace")


def _storable(value: str) -> bool:
    if not value or value != value.strip():
        return False
    if any(unicodedata.category(c)[0] == "C" and c not in _JOINERS for c in value):
        return False
    return len(to_header(value)) <= _MAX_VALUE_BYTES
