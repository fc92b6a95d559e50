"""Connections to the database of the index: a file of SQLite, or PostgreSQL by its address."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from config.errors import ConfigError, StorageError

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 15.0
#: How long SQLite waits for another process that writes; in its own thread.
BUSY_MS = 3000
_POSTGRES = {"postgres", "postgresql", "postgresql+asyncpg"}
#: What may stand behind the ``?`` of an address: how the connection is encrypted, under the name
#: that PostgreSQL's own programs give it, and the one of the driver.
_SSL_NAMES = ("sslmode", "ssl")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
#: Other parameters that stand in addresses, by name (libpq-connect.html#LIBPQ-PARAMKEYWORDS).
#: Only these are told: what stands behind a ``?`` may also be a piece of a password.
_TOLD_NAMES = {
    "application_name",
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "host",
    "options",
    "pgbouncer",
    "pool_timeout",
    "port",
    "prepared_statement_cache_size",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "statement_cache_size",
    "target_session_attrs",
}
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
    # What the driver says.
    "root certificate file": "the sslmode of INDEX_URL asks for the certificate of PostgreSQL's "
    "authority: let PGSSLROOTCERT name its file",
    "rejected SSL upgrade": "PostgreSQL has no TLS, which the sslmode of INDEX_URL asks for",
}
_NOBODY = "PostgreSQL refuses the user or the password of INDEX_URL: mend it, or pg_hba.conf"
#: What PostgreSQL's codes mean here (errcodes-appendix.html).
_STATE_HINTS = {
    "28000": _NOBODY,
    "28P01": _NOBODY,
    "3D000": "the database of INDEX_URL does not exist: create it",
    "42501": "the user of INDEX_URL may not make or use tables: GRANT USAGE, CREATE ON SCHEMA "
    "public TO that user",
    "53300": "PostgreSQL has too many connections: raise its max_connections",
    "57P03": "PostgreSQL is starting or stopping",
}


def build_engine(url: SecretStr | None, file: Path) -> AsyncEngine:
    """An engine that has connected to nothing yet.

    Args:
        url: ``postgresql://…``; None for SQLite.
        file: Where SQLite keeps its data.

    Raises:
        ConfigError: The address is of no database that can serve, it asks for what is not known
            here, or its driver is missing.
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
    except StorageError:
        raise
    # A driver also raises what is its own, and neither SQLAlchemy's nor the system's: no call and
    # no request may end with it.
    except Exception as error:
        # The database's own words may hold numbers and addresses: only their kind is told.
        cause = error.orig if isinstance(error, DBAPIError) else error
        words, state = str(cause), getattr(cause, "sqlstate", None)
        code = "index_unavailable"
        if any(word in words for word in _BROKEN):
            code = "index_corrupt"
        elif _NO_TABLE in words or state == _NO_TABLE_STATE:
            code = "index_missing"
        elif isinstance(error, DataError | IntegrityError):
            code = "index_refused"
        hint = _STATE_HINTS.get(str(state)) or next(
            (text for word, text in _HINTS.items() if word in words), type(cause).__name__
        )
        raise StorageError(code, f"the index of calls does not answer ({hint})") from error


def _address(url: SecretStr) -> URL:
    try:
        address = make_url(url.get_secret_value())
    except (ArgumentError, ValueError):
        address = None
    if address is None or address.drivername not in _POSTGRES or not address.host:
        raise ConfigError("INDEX_URL must be like postgresql://user:password@host:5432/database")
    return address.set(query=_query(address))


def _query(address: URL) -> dict[str, str]:
    """What stands behind the ``?`` of an address, as the driver takes it."""
    given = address.normalized_query
    unknown = given.keys() - set(_SSL_NAMES)
    if unknown:
        names = ", ".join(sorted(unknown & _TOLD_NAMES)) or "something that is not known here"
        raise ConfigError(
            f"INDEX_URL has {names} behind its ?: leave that out. Only sslmode may stand there; "
            "?, @ and / in a password are written as %3F, %40 and %2F"
        )
    modes = {mode for values in given.values() for mode in values}
    if not modes:
        return {}
    if len(modes) > 1 or not modes <= set(_SSL_MODES):
        raise ConfigError(f"the sslmode of INDEX_URL must be one of {', '.join(_SSL_MODES)}")
    return {"ssl": modes.pop()}


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
