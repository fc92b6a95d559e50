from pathlib import Path

import pytest
from pydantic import SecretStr

from config.defaults import require_usable_defaults
from config.problems import ConfigFileError
from config.providers import ProviderCatalog
from config.settings import Settings, is_loopback, load_settings

EXAMPLE = Path("config/config.example.yaml")


def written(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_file_and_environment_the_keyless_providers_serve_on_loopback() -> None:
    settings = load_settings(None, {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 7860)
    assert settings.environment == "development"
    assert settings.stt == {"provider": "offline"}
    assert settings.llm == {"provider": "script"}
    assert settings.tts == {"provider": "espeak"}
    assert settings.storage.kind == "filesystem"
    assert settings.data_dir == Path("data")
    assert settings.vobiz.content_type == "audio/x-mulaw;rate=8000"
    assert (settings.vobiz.l16_in_order, settings.vobiz.l16_out_order) == ("big", "little")


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "server: {port: 1111, max_connections: 7, session_timeout: 60}\n")
    settings = load_settings(file, {"PORT": "2222", "SESSION_TIMEOUT": "90", "HOST": ""})
    assert settings.server.port == 2222
    assert settings.server.max_connections == 7
    assert settings.server.session_timeout_seconds == 90
    assert settings.server.host == "127.0.0.1"


def test_names_of_the_environment_are_put_into_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "stt:\n  deepgram: {api_key: '${KEY}', model: '${MODEL:-nova-3}-x', tier: '${TIER:-}'}\n",
    )
    settings = load_settings(file, {"KEY": "abc", "TIER": ""})
    options = settings.stt["deepgram"]
    assert options["api_key"] == SecretStr("abc")
    assert options["model"] == "nova-3-x"
    assert options["tier"] == ""
    assert settings.stt["provider"] == "offline"


def test_unset_names_are_all_reported_with_their_lines(tmp_path: Path) -> None:
    file = written(tmp_path, "stt:\n  a: {api_key: '${ONE}'}\nllm:\n  b: {model: '${TWO}'}\n")
    with pytest.raises(ConfigFileError) as caught:
        load_settings(file, {})
    lines = caught.value.message.splitlines()
    assert lines[0].startswith(f"{file}:2: stt.a.api_key: environment variable ONE is not set")
    assert lines[1].startswith(f"{file}:4: llm.b.model: environment variable TWO is not set")


def test_an_empty_key_counts_as_none(tmp_path: Path) -> None:
    file = written(tmp_path, "stt: {deepgram: {api_key: '${KEY:-}', model: m}}\n")
    assert load_settings(file, {}).stt["deepgram"] == {"model": "m"}


def test_mistakes_name_file_line_field_and_the_nearest_key(tmp_path: Path) -> None:
    file = written(tmp_path, "server:\n  prot: 1\n  port: 70000\nstorag: {}\n")
    with pytest.raises(ConfigFileError) as caught:
        load_settings(file, {})
    text = caught.value.message
    assert f"{file}:2: server.prot: unknown key 'prot'; did you mean 'port'?" in text
    assert f"{file}:3: server.port: input should be less than or equal to 65535" in text
    assert "(found 70000)" in text
    assert f"{file}:4: storag: unknown key 'storag'; did you mean 'storage'?" in text


def test_a_mistake_of_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigFileError, match=r"server\.port: .*environment variable PORT"):
        load_settings(None, {"PORT": "many"})


@pytest.mark.parametrize(
    ("host", "environment"),
    [("127.0.0.1", "development"), ("::1", "development"), ("0.0.0.0", "production")],
)
def test_the_address_decides_between_development_and_production(
    host: str, environment: str
) -> None:
    assert load_settings(None, {"HOST": host}).environment == environment


def test_development_is_refused_where_others_can_reach_it() -> None:
    with pytest.raises(ConfigFileError, match=r"loopback only.*set ENVIRONMENT=production"):
        load_settings(None, {"HOST": "0.0.0.0", "ENVIRONMENT": "development"})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.in", "localhost.evil.in"])
def test_other_addresses_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_a_command_line_changes_a_copy_and_is_checked() -> None:
    settings = load_settings(None, {"DEEPGRAM_API_KEY": "k"})
    changed = settings.changed({"server": settings.server.model_copy(update={"port": 1})})
    assert (settings.server.port, changed.server.port) == (7860, 1)
    assert changed.env_text("DEEPGRAM_API_KEY") == "k"
    wrong = settings.server.model_copy(update={"port": 99_999})
    with pytest.raises(ConfigFileError, match=r"command line: server\.port: .*65535"):
        settings.changed({"server": wrong})


def test_listening_to_others_by_command_line_is_production() -> None:
    settings = load_settings(None, {})
    server = settings.server.model_copy(update={"host": "0.0.0.0"})
    assert settings.changed({"server": server}).environment == "production"
    chosen = load_settings(None, {"ENVIRONMENT": "development"})
    with pytest.raises(ConfigFileError, match="loopback only"):
        chosen.changed({"server": server})


def test_minio_needs_its_keys() -> None:
    with pytest.raises(ConfigFileError, match=r"storage: kind minio needs MINIO_ACCESS_KEY"):
        load_settings(None, {"STORAGE_KIND": "minio"})


def test_minio_by_environment() -> None:
    env = {
        "STORAGE_KIND": "minio",
        "MINIO_ENDPOINT": "minio:9000",
        "MINIO_ACCESS_KEY": "a",
        "MINIO_SECRET_KEY": "b",
        "MINIO_SECURE": "yes",
    }
    storage = load_settings(None, env).storage
    assert (storage.kind, storage.minio_endpoint, storage.minio_secure) == (
        "minio",
        "minio:9000",
        True,
    )


def test_a_short_jwt_secret_is_refused_and_not_shown() -> None:
    secret = "s3cr3t" * 3
    with pytest.raises(ConfigFileError, match="32 characters") as caught:
        load_settings(None, {"JWT_SECRET": secret})
    assert secret not in caught.value.message


def test_secrets_do_not_show(tmp_path: Path) -> None:
    file = written(tmp_path, "stt: {deepgram: {api_key: '${KEY}'}}\n")
    env = {"KEY": "hidden-1", "VOBIZ_AUTH_TOKEN": "hidden-2", "JWT_SECRET": "hidden-3" * 4}
    settings = load_settings(file, env)
    assert "hidden" not in f"{settings!r} {settings} {settings.stt} {settings.model_dump_json()}"
    assert settings.env_value("KEY") == SecretStr("hidden-1")
    assert settings.env_text("VOBIZ_AUTH_TOKEN") == "hidden-2"
    assert settings.env_value("ABSENT") is None


def test_settings_cannot_be_changed() -> None:
    settings = load_settings(None, {})
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1


def test_the_process_environment_and_dotenv_are_read_when_nobody_gives_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("MAX_CONNECTIONS=5\nPORT=1234\nSOME_KEY='quoted'\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("log_level: debug\n")
    monkeypatch.setenv("PORT", "4321")
    settings = load_settings()
    assert settings.server.max_connections == 5
    assert settings.server.port == 4321
    assert settings.log_level == "DEBUG"
    assert settings.env_text("SOME_KEY") == "quoted"


def test_the_example_says_the_defaults() -> None:
    providers = {"stt", "llm", "tts"}
    example = load_settings(EXAMPLE, {})
    defaults = load_settings(None, {})
    assert example.model_dump(exclude=providers) == defaults.model_dump(exclude=providers)
    for kind in ("stt", "llm", "tts"):
        chosen = getattr(example, kind)["provider"]
        assert chosen == getattr(defaults, kind)["provider"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stt: {provider: deepgrm}", "config.yaml:1: stt.provider: unknown stt provider"),
        ("stt:\n  fallback: [of]", "config.yaml:2: stt.fallback[0]: unknown stt provider"),
        ("stt:\n  fallback: x", "config.yaml:2: stt.fallback: must be a list"),
        ("tts:\n  cartesa: {}", "config.yaml:2: tts.cartesa: unknown key 'cartesa'; did you"),
        ("llm:\n  openai:\n    temperature: 9", "config.yaml:3: llm.openai.temperature: input"),
        ("llm:\n  openai: 9", "config.yaml:2: llm.openai: must be a mapping"),
        ("stt:\n  deepgram: {language: Hindhi}", "config.yaml:2: stt.deepgram.language: unknown"),
    ],
)
def test_provider_sections_are_checked_at_start_up(
    text: str, message: str, tmp_path: Path, catalog: ProviderCatalog
) -> None:
    settings = load_settings(written(tmp_path, text), {})
    with pytest.raises(ConfigFileError) as caught:
        require_usable_defaults(settings, catalog)
    assert message in caught.value.message


def test_usable_provider_sections_pass(tmp_path: Path, catalog: ProviderCatalog) -> None:
    text = (
        "stt: {provider: deepgram, fallback: [offline], deepgram: {language: multi}}\n"
        "llm: {script: {}, openai:}\n"
    )
    settings: Settings = load_settings(written(tmp_path, text), {})
    require_usable_defaults(settings, catalog)
