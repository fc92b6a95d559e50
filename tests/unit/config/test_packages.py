"""Packages are found without being imported."""

import sys
from pathlib import Path

import pytest

from config.packages import is_installed


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that tell by failing that they were imported."""
    for name in ("loud", "loud/inner", "quiet/inner", "quiet/still/inner"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("raise SystemError('imported')")
    (tmp_path / "loud" / "module.py").write_text("raise SystemError('imported')")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("loud", True),
        ("loud.inner", True),
        ("loud.module", True),
        ("quiet.inner", True),
        ("loud.other", False),
        ("loud.module.inner", False),
        ("quiet.other", False),
        ("quiet.still", True),
        ("quiet.still.inner", True),
        ("quiet.still.other", False),
        ("quiet.other.inner", False),
        ("no_such_package", False),
        ("no_such_package.inner", False),
        ("json", True),
        ("sys", True),
    ],
)
def test_a_package_is_found_and_not_imported(packages: None, name: str, there: bool) -> None:
    assert is_installed(name) == there
    assert not {"loud", "quiet"} & set(sys.modules)


def test_a_module_made_by_hand_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "by_hand", type(sys)("by_hand"))
    assert is_installed("by_hand")


def test_a_namespace_may_lie_in_several_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("first/apart/still/near", "second/apart/still/far"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "__init__.py").touch()
    for root in ("first", "second"):
        monkeypatch.syspath_prepend(tmp_path / root)
    assert is_installed("apart.still.near")
    assert is_installed("apart.still.far")
    assert not is_installed("apart.still.farther")
