"""docs/configuration.md says what the models say, and shows what the commands print."""

import re
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import main
from config.agent import AgentConfig
from config.providers import ProviderSpec
from config.settings import Settings, environment_fields, load_settings
from services.registry import catalog
from sessions.record import CallRecord

ROOT = Path(__file__).parents[2]
REWRITE = "python -m tests.unit.test_documented_settings"
PAGE = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
#: Sections that a provider's model does not describe here; docs/script.md has these.
ELSEWHERE = ("llm.script",)
#: Commands whose output is shown, and the code they end with.
SHOWN = {
    "python main.py check agent_configs/clinic.yaml": 1,
    "python main.py check --no-secrets agent_configs/sathi.json": 0,
}
#: Named on the page as read and kept, with no effect on a call yet, and where one would show.
WITHOUT_EFFECT = {
    "vobiz.auth_id": (
        r"vobiz\.(auth_id|auth_token|api_base|caller_id)",
        ("api", "services", "sessions"),
    ),
}


def fields(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field with its dotted name; sections are walked through."""
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and inner.model_fields:
            yield from fields(inner, f"{place}{name}.")
        else:
            yield f"{place}{name}", info


def default_of(info: FieldInfo) -> str:
    """A default as an operator would write it."""
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    assert not isinstance(value, SecretStr)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def row(*cells: str) -> str:
    """A line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def settings_rows() -> Iterator[str]:
    """Every server-wide setting."""
    variables = {".".join(path): name for name, path in environment_fields().items()}
    for name, info in fields(Settings):
        if name not in ("stt", "llm", "tts"):
            variable = f"`{variables[name]}`" if name in variables else ""
            yield row(f"`{name}`", variable, default_of(info), info.description or "")


def agent_rows() -> Iterator[str]:
    """Every key of an agent's file but the providers' sections."""
    for name, info in fields(AgentConfig):
        yield row(f"`{name}`", default_of(info), info.description or "")


def provider_rows() -> Iterator[str]:
    """Every provider."""
    for spec in catalog:
        names = ", ".join(f"`{name}`" for name in (spec.name, *spec.aliases))
        languages = "any" if spec.languages is None else ", ".join(sorted(spec.languages))
        named = (spec.secret_env, *spec.option_env.values(), spec.base_url_env)
        variables = [f"`{name}`" for name in named if name]
        yield row(spec.kind, names, spec.title, languages, ", ".join(variables))


def option_rows() -> Iterator[str]:
    """Every option of every provider, beside those that all have."""
    for spec in catalog:
        if f"{spec.kind}.{spec.name}" not in ELSEWHERE:
            yield from _options(spec)


def _options(spec: ProviderSpec) -> Iterator[str]:
    for name, info in spec.options.model_fields.items():
        if name not in ("base_url", "language", "api_key"):
            place = f"`{spec.kind}.{spec.name}.{name}`"
            yield row(place, default_of(info), info.description or "")


@pytest.mark.parametrize(
    "line", [*settings_rows(), *agent_rows(), *provider_rows(), *option_rows()]
)
def test_the_page_has_the_line(line: str) -> None:
    assert line in PAGE.splitlines(), f"docs/configuration.md is out of date; run {REWRITE}"


def test_the_page_has_no_line_too_many() -> None:
    rows = {*settings_rows(), *agent_rows(), *provider_rows(), *option_rows()}
    first = re.compile(r"\| (`[a-z_.0-9]+`|stt|llm|tts) \| ")
    tables = PAGE[PAGE.index("## Server settings") : PAGE.index("## Not yet in effect")]
    assert [line for line in tables.splitlines() if first.match(line) and line not in rows] == []


def blocks(language: str) -> dict[str, str]:
    """The page's examples of one language by the file they name."""
    found = re.findall(rf"```{language}\n(?:#|//) (\S+)\n(.*?)```", PAGE, re.DOTALL)
    return dict(found)


def shown_after(command: str) -> str:
    """What the page says that a command prints."""
    found = re.search(rf"    {re.escape(command)}\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, command
    return found[1]


def printed_by(command: str, folder: Path) -> tuple[int, str]:
    """What a command ends with and prints of the page's example that it names."""
    words = command.split()[2:]
    name = words[-1]
    language = "json" if name.endswith(".json") else "yaml"
    text = blocks(language)[name]
    place = folder / name
    place.parent.mkdir()
    # The first line is the comment with the file's name, which JSON cannot have.
    place.write_text(text if language == "json" else f"# {name}\n{text}", encoding="utf-8")
    printed = StringIO()
    with chdir(folder), redirect_stdout(printed), redirect_stderr(printed):
        code = main.main(words)
    return code, printed.getvalue()


@pytest.mark.parametrize(("command", "code"), SHOWN.items())
def test_check_prints_what_the_page_shows(command: str, code: int, tmp_path: Path) -> None:
    expected = (code, shown_after(command))
    assert printed_by(command, tmp_path) == expected, f"run {REWRITE}"


def test_the_example_of_defaults_can_be_served(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(blocks("yaml")["config/config.yaml"], encoding="utf-8")
    settings = load_settings(file, {"OPENAI_API_KEY": "from-the-environment"})
    assert settings.provider_defaults("llm")["provider"] == "openai"
    assert settings.server.max_connections == 40


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_has_no_effect_is_said_to_have_none(name: str) -> None:
    """Once code uses such a key, the page must stop saying that it has no effect."""
    section = PAGE[PAGE.index("## Not yet in effect") :]
    pattern, places = WITHOUT_EFFECT[name]
    used = [
        str(path.relative_to(ROOT))
        for place in places
        for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
        if re.search(pattern, path.read_text(encoding="utf-8"))
    ]
    assert (f"`{name}" in section) == (not used), f"{name} is used in {used}"


def test_the_record_is_documented() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    missing = [name for name in CallRecord.__struct_fields__ if f"`{name}`" not in page]
    assert missing == []


def rewrite() -> None:
    """Put tables and shown output in order, for whoever changed a setting or a provider."""
    page = PAGE
    for head, rows in (
        ("| setting | environment | default | |\n|---|---|---|---|\n", settings_rows()),
        ("| key | default | |\n|---|---|---|\n", agent_rows()),
        (
            "| stage | `provider` | | languages | environment |\n|---|---|---|---|---|\n",
            provider_rows(),
        ),
        ("| option | default | |\n|---|---|---|\n", option_rows()),
    ):
        before, _, after = page.partition(head)
        page = before + head + "\n".join(rows) + "\n\n" + after.partition("\n\n")[2]
    for command in SHOWN:
        with TemporaryDirectory() as folder:
            _, printed = printed_by(command, Path(folder))
        page = page.replace(shown_after(command), printed)
    (ROOT / "docs/configuration.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
