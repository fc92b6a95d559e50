"""What `main.py providers` says of providers, and what it never says."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.provider_report import (
    ProviderReport,
    as_json,
    as_text,
    provider_reports,
    shown_address,
)
from config.providers import ProviderCatalog, ProviderKind, ProviderSpec
from config.settings import Settings, load_settings
from tests.unit.config.catalog import ChatOptions, VoiceOptions

ReportOf = Callable[..., ProviderReport]


@pytest.fixture
def report_of(catalog: ProviderCatalog, tmp_path: Path) -> ReportOf:
    """One provider's report, by the server's configuration and environment."""

    def report(
        kind: ProviderKind,
        name: str,
        config: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
    ) -> ProviderReport:
        file = tmp_path / "config.yaml"
        file.write_text(json.dumps(config or {}), encoding="utf-8")
        reports = provider_reports(catalog, load_settings(file, env or {}), kind=kind)
        return next(report for report in reports if report.spec.name == name)

    return report


def test_all_are_listed_by_kind_and_name(catalog: ProviderCatalog, settings: Settings) -> None:
    found = [(r.spec.kind, r.spec.name) for r in provider_reports(catalog, settings)]
    assert len(found) == len(list(catalog))
    assert found == sorted(found, key=lambda f: (("stt", "llm", "tts").index(f[0]), f[1]))


def test_those_of_a_kind_with_a_language(catalog: ProviderCatalog, settings: Settings) -> None:
    found = provider_reports(catalog, settings, kind="stt", language="en-IN")
    assert [report.spec.name for report in found] == ["deepgram", "offline"]
    assert provider_reports(catalog, settings, kind="stt", language="sat") == []
    assert len(provider_reports(catalog, settings, kind="llm", language="sat")) == 3


def test_a_provider_is_configured_once_its_key_is_there(report_of: ReportOf) -> None:
    bare = report_of("stt", "deepgram")
    assert (bare.has_key, bare.is_configured) == (False, False)
    with_variable = report_of("stt", "deepgram", env={"DEEPGRAM_API_KEY": "k"})
    in_file = report_of("stt", "deepgram", {"stt": {"deepgram": {"api_key": "k"}}})
    for report in (with_variable, in_file):
        assert (report.has_key, report.is_configured) == (True, True)
    assert report_of("stt", "offline").has_key is None
    assert report_of("stt", "offline").is_configured


def test_a_server_of_ones_own_is_configured_once_its_address_is_there(report_of: ReportOf) -> None:
    assert not report_of("llm", "local").is_configured
    section = {"llm": {"local": {"api_base": "http://own.example/v1"}}}
    report = report_of("llm", "local", section)
    assert (report.address, report.is_configured) == ("http://own.example/v1", True)


def test_the_address_is_the_one_that_a_call_would_use(report_of: ReportOf) -> None:
    config = {"stt": {"deepgram": {"base_url": "wss://config.example"}}}
    env = {"DEEPGRAM_BASE_URL": "wss://env.example"}
    assert report_of("stt", "deepgram").address == "wss://stt.example"
    assert report_of("stt", "deepgram", config).address == "wss://config.example"
    assert report_of("stt", "deepgram", config, env).address == "wss://env.example"


def test_what_is_not_installed_says_how_to_install_it(report_of: ReportOf) -> None:
    report = report_of("tts", "absent")
    assert not report.is_installed
    text = as_text([report])
    assert "absent: Absent [not installed, configured]" in text
    assert "missing a_package_that_is_not_there: pip install 'server[absent]'" in " ".join(
        text.split()
    )


def test_a_section_that_is_wrong_is_told(report_of: ReportOf) -> None:
    report = report_of("llm", "openai", {"llm": {"openai": {"temperature": 9}}}, env={})
    assert not report.is_configured
    assert report.problems[0].startswith("llm.openai.temperature: ")
    assert "llm.openai.temperature" in as_text([report])


def test_a_section_that_leaves_something_to_agents_is_not_wrong(report_of: ReportOf) -> None:
    report = report_of("llm", "script", {"llm": {"script": {"desk": "front"}}})
    assert report.agent_options == ("steps",)
    assert report.problems == ()
    assert report.is_configured
    assert "needs        in an agent's file: steps" in as_text([report])


def test_no_secret_is_printed(report_of: ReportOf) -> None:
    key = secrets.token_hex(16)
    section = {
        "api_key": key,
        "base_url": f"wss://user:{key}@x.example/v1?token={key}#{key}",
        "smart_format": f"{key} is no truth value",
    }
    whole = report_of("stt", "deepgram", {"stt": {"deepgram": {**section, "smart_format": True}}})
    broken = report_of("stt", "deepgram", {"stt": {"deepgram": {"api_key": [key]}}})
    env = report_of("llm", "openai", env={"OPENAI_API_KEY": key})
    assert whole.address == "wss://x.example/v1"
    for text in (as_text([whole, broken, env]), as_json([whole, broken, env])):
        assert key not in text
    assert key not in repr(whole) + repr(broken) + repr(env)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://localhost:8001", "http://localhost:8001"),
        ("https://u:p@x.example:1/a?b=c#d", "https://x.example:1/a"),
        ("http://[broken", "(no valid address)"),
    ],
)
def test_an_address_is_shown_without_credentials(address: str, shown: str) -> None:
    assert shown_address(address) == shown


def test_lines_fit_a_terminal_of_100_columns(catalog: ProviderCatalog, settings: Settings) -> None:
    lines = as_text(provider_reports(catalog, settings)).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "Speech to text (stt)"


def test_json_has_every_field_under_a_plain_name(report_of: ReportOf) -> None:
    (fields,) = json.loads(as_json([report_of("stt", "deepgram", env={"DEEPGRAM_API_KEY": "k"})]))
    assert fields["languages"] == {"hi": "hi", "en-IN": "en-IN", "ta": "ta"}
    assert fields["secret_env"] == "DEEPGRAM_API_KEY"
    assert (fields["installed"], fields["configured"]) == (True, True)
    assert fields["address"] == "wss://stt.example"


def test_an_address_is_asked_for_only_where_there_is_no_other() -> None:
    def reported(**more: Any) -> ProviderReport:
        spec = ProviderSpec(
            kind="llm", name="chat", title="Chat", options=ChatOptions, build="x:y", **more
        )
        return provider_reports(ProviderCatalog([spec]), load_settings(None, {}))[0]

    own = reported(base_url_env="CHAT_BASE_URL")
    assert own.is_configured
    assert "connects to  the vendor's own (CHAT_BASE_URL)" in as_text([own])
    elsewhere = reported(base_url_env="CHAT_BASE_URL", address_required=True)
    assert not elsewhere.is_configured
    assert "connects to  nothing yet: set CHAT_BASE_URL" in as_text([elsewhere])
    fixed = reported(fixed_address=True)
    assert fixed.is_configured
    assert "connects to  the vendor's own\n" in as_text([fixed]) + "\n"


def test_the_options_of_an_account_count_like_its_key() -> None:
    spec = ProviderSpec(
        kind="tts",
        name="voice",
        title="Voice",
        options=VoiceOptions,
        build="x:y",
        option_env={"base_url": "VOICE_PLACE"},
    )
    catalog = ProviderCatalog([spec])
    bare, whole = (
        provider_reports(catalog, load_settings(None, env))[0]
        for env in ({}, {"VOICE_PLACE": "http://y.example"})
    )
    assert not bare.is_configured
    assert "base_url VOICE_PLACE (not set)" in as_text([bare])
    assert whole.is_configured
    assert json.loads(as_json([whole]))[0]["account_options"] == {
        "base_url": {"env": "VOICE_PLACE", "set": True}
    }
