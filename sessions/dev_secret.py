"""The key that signs client tokens: the operator's, or in development one of our own."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from config.errors import ConfigError
from config.settings import Settings

FILE_NAME = "dev_jwt_secret"
LEAST_CHARS = 32


def jwt_secret(settings: Settings) -> SecretStr:
    """The signing key.

    In development one is made and kept in the data folder, readable by its owner only, so
    that ``python main.py token`` prints tokens which a running server takes.

    Raises:
        ConfigError: Production without ``JWT_SECRET``, or a data folder that takes no file.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret
    if settings.environment != "development":
        raise ConfigError(
            "JWT_SECRET is not set: client programs could not be told from strangers; set it to "
            "32 random characters or more, for example from `openssl rand -hex 32`",
            code="secret_missing",
        )
    path = settings.data_dir / FILE_NAME
    try:
        return SecretStr(_own_secret(path))
    except OSError as error:
        raise ConfigError(
            f"{path.absolute()} cannot be kept there: {error.strerror}; let DATA_DIR name a folder "
            "that can be written to, or set JWT_SECRET"
        ) from error


def _own_secret(path: Path) -> str:
    """The key in the file, which is made where it is missing or was left empty."""
    kept = _read(path)
    if len(kept) >= LEAST_CHARS:
        return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
    if kept == "":
        path.unlink(missing_ok=True)
    try:
        # Whole or not at all, and never over the key of another process that was quicker.
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
    return _read(path)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
