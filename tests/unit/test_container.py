"""The image and the compose file, as far as they can be judged without running them."""

import ast
import base64
import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import DEFAULT_CONFIG_FILE, environment_fields, load_settings
from tests.unit.test_layers import ALLOWED

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
VOICE: dict[str, Any] = COMPOSE["services"]["voice"]
MINIO: dict[str, Any] = COMPOSE["services"]["minio"]


def instruction(word: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{word} ")]


def copied() -> set[str]:
    """What is copied from the project."""
    lines = [line.split() for line in instruction("COPY") if "--from" not in line]
    return {source for line in lines for source in line[:-1]}


def test_everything_that_is_copied_exists() -> None:
    assert {name for name in copied() if not (ROOT / name).exists()} == set()


def test_every_package_of_the_server_is_in_the_image() -> None:
    assert copied() >= {*ALLOWED, "main.py", "web", "agent_configs", "requirements.txt"}


def test_what_main_imports_is_in_the_image() -> None:
    files = [ROOT / "main.py", *(ROOT / "commands").glob("*.py")]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    modules = [
        n.module or "" for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)
    ]
    ours = {name.partition(".")[0] for name in modules if (ROOT / name.partition(".")[0]).is_dir()}
    assert ours <= copied()


def test_the_builder_is_sent_what_is_copied_and_no_secret() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()
    denied = [rule for rule in rules[1:] if not rule.startswith("!")]
    assert rules.index(denied[0]) > max(rules.index(f"!{name}") for name in copied())
    for secret in ("config/config.yaml", "agent_configs/.env", "config/.env.local"):
        assert any(fnmatch(secret, rule) for rule in denied), secret


def test_the_image_that_runs_is_small_and_not_root() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    assert len(stages) == 3
    assert stages[2].startswith("python:3.11-slim\n")
    assert not re.search(r"\b(apt-get|gcc|pip install)\b", stages[2])
    users = instruction("USER")
    assert users and users[-1] not in ("root", "0")
    assert LINES.index(f"USER {users[-1]}") < LINES.index('CMD ["python", "main.py", "serve"]')


def test_its_environment_is_the_servers() -> None:
    names = re.findall(r"\b([A-Z_]+)=", instruction("ENV")[0])
    others = {"PATH", "PYTHONUNBUFFERED", "NUMBA_CACHE_DIR"}
    assert set(names) - others <= set(environment_fields())
    assert "HOST=0.0.0.0" in instruction("ENV")[0]
    assert instruction("EXPOSE") == ["7860"]


def test_its_health_check_can_be_run() -> None:
    command = json.loads(instruction("HEALTHCHECK")[0].split("CMD ", 1)[1])
    assert command[:2] == ["python", "-c"]
    ast.parse(command[2])
    assert "/health/live" in command[2] and "timeout=" in command[2]


def references(value: Any) -> list[tuple[str, str]]:
    """Each variable that a part of the compose file takes, and what stands behind its name."""
    return re.findall(r"\$\{([A-Z_]+)([^}]*)\}", json.dumps(value))


def test_compose_sets_only_what_the_server_reads() -> None:
    known = set(environment_fields())
    assert set(VOICE["environment"]) <= known
    assert {name for name, _ in references(COMPOSE)} <= known
    assert VOICE["environment"]["STORAGE_KIND"] == "minio"
    assert VOICE["environment"]["MINIO_ENDPOINT"].startswith("minio:")


def test_compose_gives_the_server_all_that_can_be_set() -> None:
    """``environment`` wins over ``env_file``, so nothing stands there but the container's own."""
    assert VOICE["env_file"] == [{"path": ".env", "required": False}]
    own = {name for name, value in VOICE["environment"].items() if "${" not in str(value)}
    assert own == {
        *("ENVIRONMENT", "HOST", "PORT", "DATA_DIR", "AGENTS_DIR"),
        *("STORAGE_KIND", "MINIO_ENDPOINT", "MINIO_SECURE"),
    }
    for name in set(VOICE["environment"]) - own:
        assert VOICE["environment"][name].startswith(f"${{{name}:?"), name
    listed = set(re.findall(r"^#(\w+)=", (ROOT / "env.example").read_text("utf-8"), re.MULTILINE))
    assert set(VOICE["environment"]) <= listed


def test_a_server_that_compose_starts_takes_what_env_says(tmp_path: Path) -> None:
    """As compose lays the two over each other, with secrets in place of the references."""
    key = base64.b64encode(bytes(32)).decode()
    env = {
        **{"HOST": "127.0.0.1", "ENVIRONMENT": "development", "DATA_DIR": "data"},
        **{"JOURNAL_KEY": key, "VOICERA_BACKEND_URL": "http://backend:8000"},
        **{"INTERNAL_API_KEY": "service", "INBOUND_RESERVE": "3", "DRAIN_TIMEOUT": "90"},
        **{"INDEX_URL": "postgresql://u:p@db:5432/calls", "SARVAM_API_KEY": "sarvam"},
        **{"VOBIZ_AUTH_ID": "id", "VOBIZ_AUTH_TOKEN": "token"},
    }
    own = {k: "x" * 32 if "${" in str(v) else str(v) for k, v in VOICE["environment"].items()}
    settings = load_settings(None, {**env, **own})
    assert (settings.environment, settings.server.host) == ("production", "0.0.0.0")
    assert str(settings.data_dir) == "/data"
    assert settings.storage.journal_key is not None
    assert settings.index.url is not None
    assert settings.server.inbound_reserve == 3
    assert settings.server.drain_timeout_seconds == 90
    assert settings.env_text("SARVAM_API_KEY") == "sarvam"


def test_the_operators_settings_are_mounted() -> None:
    assert "./config:/config:ro" in VOICE["volumes"]
    assert "ln -s /config/config.yaml config/config.yaml" in instruction("RUN")
    assert "WORKDIR /app" in LINES and str(DEFAULT_CONFIG_FILE) == "config/config.yaml"


@pytest.mark.parametrize("extra", ["encryption", "postgres"])
def test_what_settings_need_is_in_the_image(extra: str) -> None:
    """As tested: at the version of requirements-dev.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (package,) = project["optional-dependencies"][extra]
    tested = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    (pin,) = (line for line in tested if line.startswith(f"{package}=="))
    (installing,) = (line for line in instruction("RUN") if "-r requirements.txt" in line)
    assert pin in installing.split()


@pytest.mark.parametrize("name", ["JWT_SECRET", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"])
def test_compose_has_no_default_secret(name: str) -> None:
    found = [rest for variable, rest in references(COMPOSE) if variable == name]
    assert found and all(rest.startswith(":?") for rest in found)


def test_compose_gives_no_key_away() -> None:
    for service in (VOICE, MINIO):
        for name, value in service["environment"].items():
            if re.search(r"KEY|SECRET|PASSWORD|USER", name):
                assert re.fullmatch(r"\$\{[A-Z_]+:[?-][^}]*\}", value), name
    for port in VOICE["ports"] + MINIO["ports"]:
        assert port.startswith("127.0.0.1:")


def test_compose_waits_longer_than_the_drain() -> None:
    drain_seconds = 60
    assert VOICE["stop_grace_period"] == "2m" and drain_seconds < 120
    assert VOICE["read_only"] is True and "/tmp" in VOICE["tmpfs"]
    assert "test" in MINIO["healthcheck"]
    assert set(COMPOSE["volumes"]) == {"data", "minio"}
