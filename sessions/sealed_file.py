"""Encryption of small files that wait in the data folder, where ``JOURNAL_KEY`` is set.

    sealed:<name of the key>:<16 bytes of salt><AES-256-GCM ciphertext with its tag>

The key is derived for each file from its own salt, as journals' are
(:mod:`sessions.journal_seal`), and the file's name is sealed with it: nothing can be put under
another's name. What does not begin so was written without a key, and is read as it is.
"""

import os
import re
from typing import Final

from config.errors import StorageError
from sessions.journal_seal import JournalKey, known_key

_HEAD: Final = re.compile(rb"sealed:([0-9a-f]{16}):")
_SALT_BYTES: Final = 16
#: Fixed, since no key is used twice.
_NONCE: Final = bytes(12)


def sealed(key: JournalKey | None, name: str, data: bytes) -> bytes:
    """What is to be written into the file of that name; in the clear where there is no key."""
    if key is None:
        return data
    salt = os.urandom(_SALT_BYTES)
    secret = key.cipher(salt).encrypt(_NONCE, data, name.encode())
    return b"sealed:%b:%b%b" % (key.name.encode(), salt, secret)


def key_name_of(data: bytes) -> str | None:
    """The name of the key that a file's content is sealed with; None where it is not."""
    head = _HEAD.match(data)
    return head[1].decode() if head else None


def unsealed(name: str, data: bytes) -> bytes:
    """What the file of that name holds.

    Raises:
        JournalKeyError: Its key is not known here.
        StorageError: It was changed or damaged (``sealed_corrupt``).
    """
    if (head := _HEAD.match(data)) is None:
        return data
    from cryptography.exceptions import InvalidTag  # Not needed, and maybe not there, without.

    salt = data[head.end() : head.end() + _SALT_BYTES]
    cipher = known_key(head[1].decode(), f"file {name}").cipher(salt)
    try:
        return cipher.decrypt(_NONCE, data[head.end() + _SALT_BYTES :], name.encode())
    except InvalidTag:
        raise StorageError("sealed_corrupt", f"file {name} was changed or damaged") from None
