"""Server-wide settings: ``config/config.yaml``, over it the environment, under both the defaults.

The only module that reads the environment. A field that has a variable of its own names it
with ``config.setting_fields.Env``; ``env.example`` is made from the same marks.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from config.documents import Document, read_document
from config.environment import expand, unset_names
from config.prices import PricesSettings
from config.problems import ConfigFileError, Problem, from_validation
from config.providers import ProviderKind, option_spellings
from config.secrets import hide_secrets
from config.sections import (
    BackendSettings,
    IndexSettings,
    ServerSettings,
    StorageSettings,
    VobizSettings,
)
from config.setting_fields import Env, SettingsSection
from config.webhooks import WebhookSettings

#: Where settings are looked for when nobody names a file.
DEFAULT_CONFIG_FILE = Path("config/config.yaml")
DEFAULT_ENV_FILE = Path(".env")

#: Who serves where nobody says: those that need no account and no network.
BUILTIN_PROVIDERS: Mapping[ProviderKind, str] = {
    "stt": "offline",
    "llm": "script",
    "tts": "espeak",
}


LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Settings(SettingsSection):
    """Everything that holds for the whole server.

    ``stt``, ``llm`` and ``tts`` are what the configuration file says of providers, unchecked:
    they lie under each agent's own sections (see ``config.layers``).
    """

    environment: Annotated[Literal["development", "production"], Env("ENVIRONMENT")] = Field(
        default="production",
        description="development (only on loopback: makes its own keys) or production; "
        "by default development on a loopback address and production elsewhere.",
    )
    log_level: Annotated[LogLevel, BeforeValidator(_upper), Env("LOG_LEVEL")] = Field(
        default="INFO", description="Least level that is logged: DEBUG, INFO, WARNING or ERROR."
    )
    agents_dir: Annotated[Path, Env("AGENTS_DIR")] = Field(
        default=Path("agent_configs"), description="Folder of the agent files."
    )
    data_dir: Annotated[Path, Env("DATA_DIR")] = Field(
        default=Path("data"), description="Folder of journals, recordings and records."
    )
    default_agent: Annotated[str, Env("DEFAULT_AGENT")] = Field(
        default="default_agent", description="Agent of a call that names none."
    )
    jwt_secret: Annotated[SecretStr | None, Env("JWT_SECRET")] = Field(
        default=None,
        description="Key that signs the tokens of client programs (HS256), 32 characters or "
        "more; development makes its own.",
    )
    server: ServerSettings = ServerSettings()
    backend: BackendSettings = BackendSettings()
    storage: StorageSettings = StorageSettings()
    index: IndexSettings = IndexSettings()
    vobiz: VobizSettings = VobizSettings()
    prices: PricesSettings = PricesSettings()
    webhooks: tuple[WebhookSettings, ...] = Field(
        default=(),
        description="Addresses that are told of calls with signed requests: url, secret, events "
        "and allow_private of each.",
    )
    stt: dict[str, Any] = Field(default={"provider": BUILTIN_PROVIDERS["stt"]}, repr=False)
    llm: dict[str, Any] = Field(default={"provider": BUILTIN_PROVIDERS["llm"]}, repr=False)
    tts: dict[str, Any] = Field(default={"provider": BUILTIN_PROVIDERS["tts"]}, repr=False)

    _env: dict[str, str] = PrivateAttr(default_factory=dict)
    _document: Document | None = PrivateAttr(default=None)
    _is_environment_derived: bool = PrivateAttr(default=False)

    @model_validator(mode="before")
    @classmethod
    def _environment_by_address(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("environment") is None:
            server = data.get("server") or {}
            host = server.get("host") if isinstance(server, dict) else server.host
            local = is_loopback(str(host or "127.0.0.1"))
            return {**data, "environment": "development" if local else "production"}
        return data

    @model_validator(mode="after")
    def _development_is_local(self) -> Self:
        if self.environment == "development" and not is_loopback(self.server.host):
            raise ValueError(
                f"development mode makes its own keys, so it listens on loopback only, not on "
                f"{self.server.host}; set ENVIRONMENT=production or HOST=127.0.0.1"
            )
        secret = self.jwt_secret.get_secret_value() if self.jwt_secret else None
        if secret is not None and len(secret) < 32:
            raise ValueError("JWT_SECRET must have 32 characters or more")
        return self

    @model_validator(mode="after")
    def _webhooks_differ(self) -> Self:
        urls = [webhook.url for webhook in self.webhooks]
        if len(set(urls)) < len(urls):
            raise ValueError("webhooks: each url may stand once; put its events together")
        return self

    @property
    def config_document(self) -> Document | None:
        """The configuration file as it was read, for messages; None where there is none."""
        return self._document

    def env_value(self, name: str) -> SecretStr | None:
        """The environment's value of ``name``, for keys of vendors; None if unset or empty."""
        value = self._env.get(name)
        return SecretStr(value) if value else None

    def env_text(self, name: str) -> str | None:
        """The environment's value of ``name``, for addresses; None if unset or empty."""
        return self._env.get(name) or None

    def changed(self, changes: Mapping[str, object]) -> "Settings":
        """A copy with other values, as a command line gives them, checked like a file.

        Raises:
            ConfigFileError: A value cannot be used, alone or with the others.
        """
        data = self.model_dump()
        if self._is_environment_derived:
            del data["environment"]
        for key, value in changes.items():
            data[key] = value.model_dump() if isinstance(value, BaseModel) else value
        return _validated(data, self._env, self._document, "command line")

    def provider_defaults(self, kind: ProviderKind) -> dict[str, Any]:
        """What the configuration file says of providers of one kind."""
        defaults: dict[str, Any] = getattr(self, kind)
        return defaults


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load_settings(
    config_file: Path | None = None, env: Mapping[str, str] | None = None
) -> Settings:
    """Read the configuration file and the environment.

    Args:
        config_file: Must exist; None looks for ``config/config.yaml`` and does without.
        env: In place of the process's environment and ``.env``; no file is looked for then.

    Raises:
        ConfigFileError: Something in the file or the environment cannot be used.
    """
    values = dict(env) if env is not None else _process_environment()
    if config_file is None and env is None and DEFAULT_CONFIG_FILE.is_file():
        config_file = DEFAULT_CONFIG_FILE
    document = read_document(config_file) if config_file is not None else None
    source = config_file or "environment"
    data: dict[str, Any] = {}
    if document is not None:
        data, missing = expand(document.data, values)
        if missing:
            raise ConfigFileError(source, _located(unset_names(missing), document, {}))
    return _validated(_prepared(data, values), values, document, source)


def environment_fields(
    model: type[BaseModel] = Settings, path: tuple[str, ...] = ()
) -> dict[str, tuple[str, ...]]:
    """Each environment variable of a model and the path of the field it sets."""
    found: dict[str, tuple[str, ...]] = {}
    for name, info in model.model_fields.items():
        for mark in info.metadata:
            if isinstance(mark, Env):
                found[mark.name] = (*path, name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found |= environment_fields(info.annotation, (*path, name))
    return found


def settings_field(path: tuple[str, ...]) -> FieldInfo:
    """The field of :class:`Settings` that ``path`` leads to."""
    model: Any = Settings
    for section in path[:-1]:
        model = model.model_fields[section].annotation
    field: FieldInfo = model.model_fields[path[-1]]
    return field


def _validated(
    data: dict[str, Any], env: dict[str, str], document: Document | None, source: Path | str
) -> Settings:
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems = from_validation(error, Settings, data)
        raise ConfigFileError(source, _located(problems, document, env)) from error
    settings._env = env
    settings._document = document
    settings._is_environment_derived = data.get("environment") is None
    return settings


def _process_environment() -> dict[str, str]:
    from_file = {k: v for k, v in dotenv_values(DEFAULT_ENV_FILE).items() if v is not None}
    return {**from_file, **os.environ}


def _prepared(data: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """``data`` with the environment laid over it and its empty sections left out."""
    result = {key: value for key, value in data.items() if value is not None}
    for name, path in environment_fields().items():
        if env.get(name):
            _set(result, path, env[name])
    for kind, builtin in BUILTIN_PROVIDERS.items():
        section = result.get(kind, {})
        if isinstance(section, dict):
            result[kind] = hide_secrets({"provider": builtin, **section})
    return result


def _set(target: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    """Put ``value`` at ``path``, copying what it changes, in place of any other spelling."""
    model: Any = Settings
    for section in path[:-1]:
        inner = target.get(section, {})
        if not isinstance(inner, dict):
            return
        target[section] = target = dict(inner)
        model = model.model_fields[section].annotation
    for spelling, field in option_spellings(model).items():
        if field == path[-1]:
            target.pop(spelling, None)
    target[path[-1]] = value


def _located(
    problems: list[Problem], document: Document | None, env: Mapping[str, str]
) -> list[Problem]:
    """``problems`` with their line, or with the environment variable that set the field."""
    variables = {path: name for name, path in environment_fields().items() if env.get(name)}
    located = []
    for problem in problems:
        name = variables.get(tuple(str(part) for part in problem.path))
        if name is not None:
            message = f"{problem.message}, from the environment variable {name}"
            located.append(Problem(path=problem.path, message=message))
        else:
            line = document.line(problem.path) if document is not None else None
            located.append(problem.at(line))
    return located
