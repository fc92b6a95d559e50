"""Connections to the database of the index: a file of SQLite, or PostgreSQL by its address."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from config.errors import ConfigError, StorageError

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 15.0
#: How long SQLite waits for another process that writes; in its own thread.
BUSY_MS = 3000
_POSTGRES = {"postgres", "postgresql", "postgresql+asyncpg"}
#: What SQLite says of a file that is no database any more, or that has lost its tables.
_BROKEN = ("malformed", "not a database", "database corrupt")
_NO_TABLE = "no such table"
#: PostgreSQL's code for the latter (``undefined_table``).
_NO_TABLE_STATE = "42P01"
#: What SQLite says, and what can be done about it.
_HINTS = {
    "readonly": "calls.db is read-only: let the server's user write it and its folder",
    "unable to open": "calls.db cannot be opened: let the server's user write its folder",
    "locked": "another process holds calls.db",
    "disk is full": "the disk is full",
}


def build_engine(url: SecretStr | None, file: Path) -> AsyncEngine:
    """An engine that has connected to nothing yet.

    Args:
        url: ``postgresql://…``; None for SQLite.
        file: Where SQLite keeps its data.

    Raises:
        ConfigError: The address is of no database that can serve, or its driver is missing.
    """
    if url is None:
        return _sqlite(file)
    address = _address(url)
    try:
        return create_async_engine(
            address.set(drivername="postgresql+asyncpg"),
            pool_size=5,
            max_overflow=5,
            pool_timeout=CONNECT_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"timeout": CONNECT_SECONDS, "command_timeout": COMMAND_SECONDS},
        )
    except ImportError as error:
        raise ConfigError(
            "INDEX_URL asks for PostgreSQL, whose driver is missing: pip install asyncpg",
            code="package_missing",
        ) from error


@contextmanager
def index_errors() -> Iterator[None]:
    """Map every error of the database, once.

    Raises:
        StorageError: ``index_corrupt`` where the file is broken, ``index_missing`` where the
            tables are gone, ``index_refused`` where the database will not have what it is given,
            else ``index_unavailable``.
    """
    try:
        yield
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        # The database's own words may hold numbers and addresses: only their kind is told.
        cause = error.orig if isinstance(error, DBAPIError) else error
        words = str(cause)
        code = "index_unavailable"
        if any(word in words for word in _BROKEN):
            code = "index_corrupt"
        elif _NO_TABLE in words or getattr(cause, "sqlstate", None) == _NO_TABLE_STATE:
            code = "index_missing"
        elif isinstance(error, DataError | IntegrityError):
            code = "index_refused"
        hint = next((text for word, text in _HINTS.items() if word in words), type(cause).__name__)
        raise StorageError(code, f"the index of calls does not answer ({hint})") from error


def _address(url: SecretStr) -> URL:
    try:
        address = make_url(url.get_secret_value())
    except (ArgumentError, ValueError):
        address = None
    if address is None or address.drivername not in _POSTGRES or not address.host:
        raise ConfigError("INDEX_URL must be like postgresql://user:password@host:5432/database")
    return address


def _sqlite(file: Path) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(file)),
        connect_args={"timeout": BUSY_MS / 1000},
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # Readers do not wait for the writer; a row may be lost with the machine's power, and is
        # found again in the store.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
