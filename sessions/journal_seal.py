"""Encryption of journals at rest, for operators who want none of a call on disk in the clear.

A sealed journal has one more file, ``seal.json``: a random salt, and a name of the key that says
nothing about it. Each call's own key is derived from both (HKDF-SHA256), so that a nonce need be
unique within one call only: it is made of the file's number and a counter. Every file is a
sequence of chunks: length (4 bytes, little-endian), then AES-256-GCM ciphertext with its tag. A
chunk holds what one flush wrote; one that a crash tore off or that was changed is left out, and
what it held is counted as lost. Those that follow it still are in their places, or left out too.

The keys are known to the whole process, by name: whoever reads a journal, wherever in the
server, reads a sealed one alike.
"""

import hmac
import os
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec
from loguru import logger
from pydantic import SecretStr

from config.errors import ConfigError, StorageError

SEAL_NAME: Final = "seal.json"
HEADER_FILE, MEDIA_FILE, EVENTS_FILE = 1, 2, 3
KEY_BYTES: Final = 32

_LENGTH: Final = struct.Struct("<I")
_TAG_BYTES: Final = 16
_SEAL_VERSION: Final = 1
#: A flush holds at most what may wait for the disk; a longer chunk means a damaged file.
_MAX_CHUNK_BYTES: Final = 16 * 1024 * 1024


class JournalKeyError(StorageError):
    """Something that is sealed cannot be read with the keys that are known; it stays as it is.

    Args:
        what: What it is, such as ``journal UUID``.
        key_name: Of the key that it is sealed with.
    """

    def __init__(self, what: str, key_name: str) -> None:
        super().__init__(
            "journal_key_unknown",
            f"{what} is sealed with the key {key_name}, which JOURNAL_KEY does not hold; it is "
            "kept until it does",
        )
        self.key_name = key_name


class JournalVersionError(StorageError):
    """A journal was written by a newer version of the server; it stays as it is.

    Args:
        what: What it is, such as ``journal UUID``.
        version: Of its form.
    """

    def __init__(self, what: str, version: int) -> None:
        super().__init__(
            "journal_version_unknown",
            f"{what} has the form {version}, which only a newer version of the server can read; "
            "it is kept until one runs here",
        )
        self.version = version


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class _Form(msgspec.Struct, frozen=True):
    version: int = 1


def check_version(data: bytes, known: int, what: str) -> None:
    """See that JSON with a ``version`` is none of a newer form, whatever else it has.

    Raises:
        JournalVersionError: It is.
        msgspec.MsgspecError: It is no such JSON.
    """
    version = msgspec.json.decode(data, type=_Form).version
    if version > known:
        raise JournalVersionError(what, version)


class _SealFile(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    key_name: str
    salt: bytes


@dataclass(frozen=True, slots=True)
class JournalKey:
    """A key for journals.

    Attributes:
        name: Tells keys apart, and says nothing about them.
    """

    _bytes: bytes
    name: str

    def cipher(self, salt: bytes) -> _Cipher:
        """The cipher of one call."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derived = HKDF(SHA256(), KEY_BYTES, salt, b"voice server journal 1").derive(self._bytes)
        return AESGCM(derived)


_known_keys: dict[str, JournalKey] = {}


def use_journal_keys(secret: SecretStr) -> JournalKey:
    """Make keys known to the process; the first seals new journals, all can read.

    Args:
        secret: Base64 of 32 bytes each, with commas between several.

    Raises:
        ConfigError: It is no such list, or the package is not installed.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise ConfigError(
            "JOURNAL_KEY needs a package that is not installed: pip install cryptography",
            code="package_missing",
        ) from None
    keys = [_read_key(word.strip()) for word in secret.get_secret_value().split(",")]
    _known_keys.update((key.name, key) for key in keys)
    return keys[0]


def _read_key(text: str) -> JournalKey:
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ConfigError(
            f"JOURNAL_KEY must be base64 of {KEY_BYTES} bytes; make one with: "
            "openssl rand -base64 32"
        )
    return JournalKey(raw, hmac.digest(raw, b"name of a journal key", "sha256").hex()[:16])


class Sealer:
    """Seals what one call writes."""

    def __init__(self, key: JournalKey) -> None:
        seal = _SealFile(version=_SEAL_VERSION, key_name=key.name, salt=os.urandom(16))
        self.seal_file = msgspec.json.encode(seal)
        self._cipher = key.cipher(seal.salt)
        self._counts = {HEADER_FILE: 0, MEDIA_FILE: 0, EVENTS_FILE: 0}

    def seal(self, file: int, data: bytes) -> bytes:
        """The next chunk of ``file``. Each is made once and written as it is, however often."""
        count = self._counts[file]
        self._counts[file] = count + 1
        sealed = self._cipher.encrypt(_nonce(file, count), data, None)
        return _LENGTH.pack(len(sealed)) + sealed


def _nonce(file: int, count: int) -> bytes:
    return file.to_bytes(4, "little") + count.to_bytes(8, "little")


def _opener(folder: Path) -> _Cipher | None:
    """The cipher of the journal in ``folder``; None where it is not sealed.

    Raises:
        JournalKeyError: Its key is not known here.
        JournalVersionError: Its seal is of a newer version.
        msgspec.MsgspecError: Its seal cannot be read.
    """
    try:
        data = (folder / SEAL_NAME).read_bytes()
    except FileNotFoundError:
        return None
    check_version(data, _SEAL_VERSION, f"the seal of journal {folder.name}")
    seal = msgspec.json.decode(data, type=_SealFile)
    return known_key(seal.key_name, f"journal {folder.name}").cipher(seal.salt)


def known_key(name: str, what: str) -> JournalKey:
    """The key of that name.

    Args:
        what: What is sealed with it, for the error.

    Raises:
        JournalKeyError: It is not known here.
    """
    if (key := _known_keys.get(name)) is None:
        raise JournalKeyError(what, name)
    return key


def is_sealed(folder: Path) -> bool:
    """Whether the journal in ``folder`` is sealed."""
    return (folder / SEAL_NAME).exists()


def read_whole(folder: Path, name: str, file: int) -> bytes:
    """A file of a journal in the clear, as far as it is whole.

    Raises:
        FileNotFoundError: There is none.
        JournalKeyError: Its key is not known here.
    """
    with open_clear(folder, name, file) as clear:
        return clear.read(clear.size, 0)


class ClearFile:
    """A file of a journal as if it had never been sealed; a context manager.

    Attributes:
        size: Bytes in the clear.
        lost_bytes: In chunks that were changed or damaged, and are left out.
        torn_bytes: At the end, of a chunk that is not there wholly.
    """

    def __init__(self, path: Path, file: int, cipher: _Cipher | None) -> None:
        self._handle = os.open(path, os.O_RDONLY)
        self._file = file
        self._cipher = cipher
        self._starts: list[int] = []
        #: Number, first byte and length of each chunk that is whole.
        self._chunks: list[tuple[int, int, int]] = []
        self._open: tuple[int, bytes] = (-1, b"")
        self.lost_bytes = self.torn_bytes = 0
        self.size = os.fstat(self._handle).st_size
        if cipher is not None:
            self._find_chunks()

    def __enter__(self) -> "ClearFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def read(self, count: int, offset: int) -> bytes:
        """At most ``count`` bytes from ``offset`` on."""
        if self._cipher is None:
            return os.pread(self._handle, count, offset)
        pieces, end = [], min(offset + count, self.size)
        index = bisect_right(self._starts, offset) - 1
        while offset < end and index < len(self._chunks):
            begin = offset - self._starts[index]
            piece = self._chunk(index)[begin : begin + end - offset]
            pieces.append(piece)
            offset += len(piece)
            index += 1
        return b"".join(pieces)

    def _find_chunks(self) -> None:
        """Where each whole chunk lies; those that are not right are passed over."""
        at, number, length_of_file, clear = 0, 0, self.size, 0
        while at + _LENGTH.size <= length_of_file:
            (length,) = _LENGTH.unpack(os.pread(self._handle, _LENGTH.size, at))
            start = at + _LENGTH.size
            if not _TAG_BYTES <= length <= _MAX_CHUNK_BYTES:
                self.lost_bytes += length_of_file - at
                at = length_of_file
                break
            if start + length > length_of_file:
                break
            if self._decrypted((number, start, length)) is None:
                self.lost_bytes += start + length - at
            else:
                self._chunks.append((number, start, length))
                self._starts.append(clear)
                clear += length - _TAG_BYTES
            at = start + length
            number += 1
        self.torn_bytes = length_of_file - at
        if self.lost_bytes:
            logger.warning(f"a sealed journal was changed or damaged: {self.lost_bytes} bytes")
        self.size = clear

    def _chunk(self, index: int) -> bytes:
        if self._open[0] != index:
            self._open = (index, self._decrypted(self._chunks[index]) or b"")
        return self._open[1]

    def _decrypted(self, chunk: tuple[int, int, int]) -> bytes | None:
        from cryptography.exceptions import InvalidTag

        number, start, length = chunk
        assert self._cipher is not None
        try:
            data = os.pread(self._handle, length, start)
            return self._cipher.decrypt(_nonce(self._file, number), data, None)
        except InvalidTag:
            return None


def open_clear(folder: Path, name: str, file: int) -> ClearFile:
    """Open a file of the journal in ``folder``, sealed or not.

    Raises:
        FileNotFoundError: There is none.
        JournalKeyError: Its key is not known here.
    """
    return ClearFile(folder / name, file, _opener(folder))
