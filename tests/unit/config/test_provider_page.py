"""docs/providers.md: made from the registry; test_shipped tells when it is out of date."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from config.languages import LANGUAGES
from config.provider_page import PROVIDER_PAGE_FILE, proof, provider_page
from config.providers import ProviderCatalog, ProviderSpec
from services.registry import catalog as registry
from tests.contract.vendors import SIMULATORS

ROOT = Path(__file__).parents[3]


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = page.split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("spec", list(registry), ids=lambda spec: f"{spec.kind}-{spec.name}")
def test_what_the_page_calls_proven_is_how_the_tests_do_it(spec: ProviderSpec) -> None:
    assert (proof(spec) == "simulator") == (
        (spec.kind, spec.name) in SIMULATORS and not spec.fixed_address
    )


def test_every_language_has_a_row_and_every_vendor_its_code(catalog: ProviderCatalog) -> None:
    page = provider_page(catalog)
    table = rows(page, "### Speech to text: languages")
    assert [row[1] for row in table] == [f"`{code}`" for code in LANGUAGES]
    by_code = {row[1].strip("`"): row[2:] for row in table}
    assert "|  | ours | `ai4bharat` | `deepgram` | `offline` |" in page
    assert by_code["en-IN"] == ["", "en-IN", "en-us"]
    assert by_code["sat"] == ["", "", ""]
    assert "No language is refused for `local`, `openai`, `script`" in page


def test_a_row_says_what_a_provider_needs(catalog: ProviderCatalog) -> None:
    page = provider_page(catalog)
    by_name = {row[1].strip("`"): row for row in rows(page, "## Text to speech")}
    assert by_name["absent"][3:] == ["none", "", "`pip install 'server[absent]'`", "in process", ""]
    stt = {row[1].strip("`"): row for row in rows(page, "## Speech to text")}
    assert stt["deepgram"][3:6] == [
        "`DEEPGRAM_API_KEY`",
        "`DEEPGRAM_BASE_URL`: wss://stt.example",
        "simulator",
    ]


@pytest.mark.parametrize(
    ("install", "shown"),
    [
        ("pip install Deepgram_SDK", False),
        ("pip install soxr aiohttp", False),
        ("pip install soxr not-there", True),
        ('pip install "pipecat-ai[google]"', True),
        ('.venv/bin/uv pip install "pipecat-ai[piper]==1.14.0"', True),
    ],
)
def test_only_what_does_not_come_with_the_server_is_to_be_installed(
    install: str, shown: bool
) -> None:
    spec = next(spec for spec in registry if spec.name == "deepgram")
    catalog = ProviderCatalog([replace(spec, kind=k, install=install) for k in ("stt", "tts")])
    assert (f"`{install}`" in provider_page(catalog)) == shown


def test_a_client_that_cannot_be_pointed_elsewhere_is_told_apart() -> None:
    spec = next(spec for spec in registry if spec.name == "deepgram")
    fixed = replace(spec, fixed_address=True, base_url_env=None, default_base_url=None)
    assert proof(fixed) == "client with its transport replaced"
    assert f"| {proof(fixed)} |" in provider_page(ProviderCatalog([fixed]))


def test_an_example_is_one_of_the_provider_and_there() -> None:
    page = (ROOT / PROVIDER_PAGE_FILE).read_text(encoding="utf-8")
    links = re.findall(r"\[\w+\.(?:json|ya?ml)\]\((\S+)\)", page)
    assert "examples/sarvam_agent.json" in links
    assert all((ROOT / "docs" / link).is_file() for link in links)
