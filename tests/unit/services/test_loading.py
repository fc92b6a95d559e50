"""What the factory says of packages that the checks of an agent's file could not see through."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from config.agent import AgentConfig
from config.agent_file import build_agent
from config.documents import parse_document
from config.errors import ConfigError
from config.providers import ProviderCatalog, ProviderKind, ProviderOptions, ProviderSpec
from config.settings import load_settings
from services.factory import ServiceFactory

TEXT = """
stt: {provider: good}
llm: {provider: good}
tts: {provider: good, fallback: [other]}
"""


def spec(kind: ProviderKind, name: str, build: str, render: str | None = None) -> ProviderSpec:
    return ProviderSpec(
        kind=kind,
        name=name,
        title=name.title(),
        options=ProviderOptions,
        build=build,
        render=render,
        packages=("json",),
        install=f"pip install {name}",
    )


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of a vendor that cannot be imported, each for a reason of its own."""
    sources = {
        "vendor_of_tests_lacking": "import a_package_that_is_not_there",
        "vendor_of_tests_broken": "from json import a_name_that_is_not_there",
        "vendor_of_tests_unlinked": "raise OSError('libvendor.so.1: cannot open shared object')",
        "vendor_of_tests_ours": "from services.factory import a_name_that_is_not_there",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def loaded(http: aiohttp.ClientSession, *others: ProviderSpec) -> None:
    kinds: tuple[ProviderKind, ...] = ("stt", "llm", "tts")
    good = [spec(kind, "good", "json:loads") for kind in kinds]
    catalog = ProviderCatalog((*good, *others))
    settings = load_settings(None, {})
    agent: AgentConfig = build_agent(parse_document(TEXT, Path("a.yaml")), catalog, settings)
    ServiceFactory(catalog, settings, http).load(agent)


@pytest.mark.parametrize(
    ("module", "code", "words"),
    [
        ("lacking", "package_missing", "needs the package a_package_that_is_not_there"),
        ("broken", "package_broken", "cannot be imported (cannot import name"),
        ("unlinked", "package_broken", "cannot be imported (libvendor.so.1"),
    ],
)
async def test_a_fallback_that_cannot_be_imported_names_its_cure(
    module: str, code: str, words: str, http: aiohttp.ClientSession
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(http, spec("tts", "other", f"vendor_of_tests_{module}:build"))
    assert caught.value.code == code
    assert caught.value.message.startswith(f"tts provider other {words}")
    assert caught.value.message.endswith(": run pip install other")


async def test_a_mistake_of_our_own_is_no_missing_package(http: aiohttp.ClientSession) -> None:
    with pytest.raises(ImportError, match="services.factory"):
        loaded(http, spec("tts", "other", "vendor_of_tests_ours:build"))


async def test_the_rendering_of_phrases_is_loaded_too(http: aiohttp.ClientSession) -> None:
    with pytest.raises(ConfigError, match="a_package_that_is_not_there"):
        loaded(http, spec("tts", "other", "json:loads", render="vendor_of_tests_lacking:render"))
    loaded(http, spec("tts", "other", "json:loads", render="json:dumps"))
