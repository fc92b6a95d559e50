"""The worked example of docs/add-a-provider.md is built and spoken with, as it stands there."""

import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest
from pipecat.frames.frames import TTSSpeakFrame

import services
import simulators
from bot.rendering import render_phrase
from config.agent_file import read_agent
from config.errors import ConfigError, ProviderError
from config.providers import ProviderCatalog
from config.schema import agent_json_schema, env_example
from config.settings import load_settings
from services.factory import ServiceFactory
from services.registry import catalog
from simulators.base import Simulator
from tests.unit.services.calls import on_the_line

PAGE = (Path(__file__).parents[2] / "docs/add-a-provider.md").read_text(encoding="utf-8")
FILES = {
    name: block
    for block in re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
    for name in re.findall(r"\A# (\S+)\n", block)
}
AGENT = "agent_configs/acme_demo.yaml"
KEY = secrets.token_hex(16)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files in a folder of their own, importable as if they stood in the project."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for package in (services, simulators):
        folder = str(tmp_path / package.__name__)
        monkeypatch.setattr(package, "__path__", [*package.__path__, folder])
    yield tmp_path
    for name in [name for name in sys.modules if ".acme" in name]:
        del sys.modules[name]


@pytest.fixture
def acme(files: Path) -> ModuleType:
    return import_module("services.acme")


@pytest.fixture
def providers(acme: ModuleType) -> ProviderCatalog:
    return ProviderCatalog([*catalog, *acme.SPECS])


@pytest.fixture
async def vendor(files: Path) -> AsyncIterator[Simulator]:
    async with import_module("simulators.acme").AcmeSimulator(api_key=KEY) as simulator:
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def test_the_page_holds_every_file_it_speaks_of() -> None:
    assert set(FILES) == {
        "services/acme/__init__.py",
        "services/acme/tts.py",
        "simulators/acme.py",
        AGENT,
    }


def test_the_registration_brings_the_rest_along(providers: ProviderCatalog) -> None:
    assert "tts.acme" in agent_json_schema(providers)["$defs"]
    assert "#ACME_API_KEY=" in env_example(providers)
    assert "#ACME_BASE_URL=https://api.acme.example" in env_example(providers)


def test_check_names_what_is_missing(files: Path, providers: ProviderCatalog) -> None:
    with pytest.raises(ConfigError) as refused:
        read_agent(files / AGENT, providers, load_settings(None, {}))
    assert "Acme needs a key; set ACME_API_KEY" in refused.value.message
    agent = files / AGENT
    agent.write_text(FILES[AGENT].replace("language: hi", "language: bn"), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_agent(agent, providers, load_settings(None, {"ACME_API_KEY": KEY}))
    assert "Acme does not speak Bengali" in refused.value.message


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_it_speaks(
    rate_hz: int,
    files: Path,
    providers: ProviderCatalog,
    vendor: Simulator,
    http: aiohttp.ClientSession,
) -> None:
    settings = load_settings(None, {"ACME_API_KEY": KEY, "ACME_BASE_URL": vendor.base_url})
    agent = read_agent(files / AGENT, providers, settings)
    factory = ServiceFactory(providers, settings, http)

    phrase = await render_phrase(factory, agent, "एक दो तीन", rate_hz)
    assert len(phrase) == rate_hz * 3 // 10 * 2

    async with on_the_line(factory.build("tts", agent, rate_hz=rate_hz), rate_hz) as line:
        await line.send(TTSSpeakFrame("चार पाँच"))
        await line.until(lambda: len(line.audio) >= rate_hz * 2 // 10 * 2)
    assert line.errors == []
    assert vendor.violations == []


async def test_a_refusal_is_a_provider_error(
    files: Path, providers: ProviderCatalog, vendor: Simulator, http: aiohttp.ClientSession
) -> None:
    wrong = {"ACME_API_KEY": secrets.token_hex(16), "ACME_BASE_URL": vendor.base_url}
    settings = load_settings(None, wrong)
    agent = read_agent(files / AGENT, providers, settings)
    factory = ServiceFactory(providers, settings, http)
    with pytest.raises(ProviderError) as failed:
        await render_phrase(factory, agent, "एक", 8_000)
    assert (failed.value.code, failed.value.retryable) == ("tts_auth", False)
    async with on_the_line(factory.build("tts", agent, rate_hz=8_000)) as line:
        await line.send(TTSSpeakFrame("दो"))
        await line.until(lambda: line.errors)
    assert line.errors[0] == "tts_auth"


async def test_an_absent_vendor_is_a_provider_error(
    files: Path, providers: ProviderCatalog, vendor: Simulator, http: aiohttp.ClientSession
) -> None:
    settings = load_settings(None, {"ACME_API_KEY": KEY, "ACME_BASE_URL": vendor.base_url})
    await vendor.stop()
    agent = read_agent(files / AGENT, providers, settings)
    with pytest.raises(ProviderError) as failed:
        await render_phrase(ServiceFactory(providers, settings, http), agent, "एक", 8_000)
    assert (failed.value.code, failed.value.retryable) == ("tts_unreachable", True)


def test_the_code_passes_the_linter(files: Path) -> None:
    """The page's code is held to the rules of the project's own."""
    config = Path(__file__).parents[2] / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", str(config), str(files)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
