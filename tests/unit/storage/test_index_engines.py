"""An address of a database that cannot serve is told with how to mend it."""

import sys

import pytest
from pydantic import SecretStr

from config.errors import ConfigError
from storage.index.calls import CallIndex


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
