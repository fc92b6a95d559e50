"""The key that signs tokens: the operator's, or one made once and kept to its owner."""

import secrets
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.settings import Settings, load_settings
from sessions.dev_secret import jwt_secret


def settings(folder: Path, **env: str) -> Settings:
    return load_settings(env={"DATA_DIR": str(folder / "data"), **env})


def test_development_makes_one_and_keeps_it(tmp_path: Path) -> None:
    first = jwt_secret(settings(tmp_path))
    assert len(first.get_secret_value()) >= 32
    assert jwt_secret(settings(tmp_path)) == first
    (file,) = (tmp_path / "data").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert jwt_secret(settings(tmp_path / "other")) != first


def test_a_folder_that_takes_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder at all")
    with pytest.raises(ConfigError, match="DATA_DIR"):
        jwt_secret(settings(tmp_path))


def test_the_operators_own_comes_first(tmp_path: Path) -> None:
    own = secrets.token_hex(32)
    assert jwt_secret(settings(tmp_path, JWT_SECRET=own)).get_secret_value() == own
    assert not (tmp_path / "data").exists()


def test_production_makes_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JWT_SECRET is not set"):
        jwt_secret(settings(tmp_path, ENVIRONMENT="production"))
    assert not (tmp_path / "data").exists()


def test_a_file_that_was_left_empty_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev_jwt_secret").touch()
    assert len(jwt_secret(settings(tmp_path)).get_secret_value()) >= 32
