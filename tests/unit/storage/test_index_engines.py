"""An address of a database that cannot serve is told with how to mend it."""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.errors import ConfigError, StorageError
from storage.index.calls import CallIndex
from storage.index.engines import index_errors
from tests.unit.storage.wires import serving

SSL_REQUEST = struct.pack("!II", 8, 80877103)
PASSWORD = "hidden"


class Doorkeeper:
    """As much of PostgreSQL as refuses everybody; it has no TLS.

    Attributes:
        answer: What it says to a startup message.
        asked_for_tls: Whether anybody did.
    """

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.asked_for_tls = False
        self.port = 0

    def url(self, query: str = "") -> SecretStr:
        return SecretStr(f"postgresql://user:{PASSWORD}@127.0.0.1:{self.port}/calls{query}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(8) == SSL_REQUEST:
                self.asked_for_tls = True
                writer.write(b"N")
                await reader.readexactly(8)
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def doorkeeper(answer: bytes = b"") -> AsyncIterator[Doorkeeper]:
    keeper = Doorkeeper(answer)
    async with serving(keeper.serve) as endpoint:
        keeper.port = int(endpoint.rpartition(":")[2])
        yield keeper


def refusal(state: str) -> bytes:
    """An ErrorResponse (protocol-message-formats.html)."""
    words = f'for user "user" with {PASSWORD}'
    fields = {"S": "FATAL", "V": "FATAL", "C": state, "M": words}
    body = b"".join(f"{name}{text}\0".encode() for name, text in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", 4 + len(body)) + body


async def trouble(url: SecretStr, folder: Path) -> StorageError:
    index = CallIndex(folder / "calls.db", url)
    try:
        with pytest.raises(StorageError) as caught:
            await index.open()
    finally:
        await index.close()
    assert PASSWORD not in caught.value.message
    return caught.value


def test_a_missing_driver_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    url = SecretStr("postgresql://user:hidden@127.0.0.1:5432/calls")
    with pytest.raises(ConfigError) as caught:
        CallIndex(tmp_path_factory.mktemp("data") / "calls.db", url)
    assert caught.value.code == "package_missing"
    assert "INDEX_URL" in caught.value.message and "pip install asyncpg" in caught.value.message
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://a@b/c", "postgresql:///calls", "nonsense", ""])
def test_an_address_of_no_such_database(url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ConfigError, match="INDEX_URL must be like postgresql://"):
        CallIndex(tmp_path_factory.mktemp("data") / "calls.db", SecretStr(url))


@pytest.mark.parametrize("name", ["sslmode", "ssl"])
async def test_the_form_that_managed_databases_give_out(name: str, tmp_path: Path) -> None:
    async with doorkeeper() as keeper:
        error = await trouble(keeper.url(f"?{name}=require"), tmp_path)
        assert (error.code, keeper.asked_for_tls) == ("index_unavailable", True)
        assert "PostgreSQL has no TLS" in error.message


async def test_a_connection_in_the_clear_where_that_is_asked_for(tmp_path: Path) -> None:
    async with doorkeeper(refusal("57P03")) as keeper:
        await trouble(keeper.url("?sslmode=disable"), tmp_path)
        assert not keeper.asked_for_tls
        await trouble(keeper.url(), tmp_path)
        assert keeper.asked_for_tls


async def test_a_certificate_that_is_missing_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    async with doorkeeper() as keeper:
        error = await trouble(keeper.url("?sslmode=verify-full"), tmp_path)
        assert error.code == "index_unavailable" and "PGSSLROOTCERT" in error.message


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?sslmode=require&channel_binding=require", "has channel_binding behind its ?"),
        ("?options=hidden&sslrootcert=hidden", "has options, sslrootcert behind its ?"),
        ("?hidden=1", "has something that is not known here behind its ?"),
        ("?sslmode=hidden", "sslmode of INDEX_URL must be one of disable, allow, prefer, require"),
        ("?sslmode=require&ssl=disable", "sslmode of INDEX_URL must be one of"),
    ],
)
def test_what_cannot_be_asked_for_is_told_with_how_to_mend_it(
    query: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        CallIndex(tmp_path / "calls.db", Doorkeeper().url(query))
    assert told in caught.value.message and PASSWORD not in caught.value.message


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("28P01", "refuses the user or the password of INDEX_URL"),
        ("28000", "refuses the user or the password of INDEX_URL"),
        ("3D000", "the database of INDEX_URL does not exist"),
        ("42501", "GRANT USAGE, CREATE ON SCHEMA"),
        ("57P03", "PostgreSQL is starting or stopping"),
        ("53300", "too many connections"),
        ("XX000", "the index of calls does not answer (InternalServerError)"),
    ],
)
async def test_a_refusal_of_postgresql_is_told_with_how_to_mend_it(
    state: str, told: str, tmp_path: Path
) -> None:
    async with doorkeeper(refusal(state)) as keeper:
        error = await trouble(keeper.url(), tmp_path)
    assert error.code == "index_unavailable" and told in error.message


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R\0\0\0\x08\0\0\0\x63"])
async def test_who_answers_as_nobody_knows_is_an_index_that_is_away(
    answer: bytes, tmp_path: Path
) -> None:
    async with doorkeeper(answer) as keeper:
        assert (await trouble(keeper.url(), tmp_path)).code == "index_unavailable"


def test_what_a_driver_raises_of_its_own_is_an_index_that_is_away() -> None:
    with pytest.raises(StorageError) as caught, index_errors():
        raise TypeError(f"connect() got an unexpected argument {PASSWORD}")
    assert caught.value.code == "index_unavailable"
    assert caught.value.message == "the index of calls does not answer (TypeError)"
    with pytest.raises(StorageError) as caught, index_errors():
        raise StorageError("index_newer", "ours")
    assert (caught.value.code, caught.value.message) == ("index_newer", "ours")
