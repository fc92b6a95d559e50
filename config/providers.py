"""What a provider declares of itself, and the catalog that an agent file is checked against.

This module holds data only. The registrations stand in ``services/<vendor>/__init__.py``
and are gathered by ``services/registry.py``; ``config`` never imports ``services``, it is
handed a :class:`ProviderCatalog`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from config.errors import ConfigError

ProviderKind = Literal["stt", "llm", "tts"]
PROVIDER_KINDS: tuple[ProviderKind, ...] = ("stt", "llm", "tts")
WireEncoding = Literal["pcm", "mulaw"]


class ProviderOptions(BaseModel):
    """The part of an agent file that belongs to one provider (``stt.deepgram`` and so on).

    A vendor subclasses this. Unknown keys are refused, because Pipecat's own parameter
    models ignore them silently.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("base_url", "service_url", "api_base"),
        description="Address of the service; a private deployment or a simulator.",
    )
    language: str | None = Field(
        default=None,
        description="Its language where that differs from the agent's: one of our codes or "
        "names, or the vendor's own code.",
    )
    #: Name of the one option that holds the credential, or None for keyless providers.
    secret_field: ClassVar[str | None] = None
    #: Name of the option that may hold the id of a server which the backend knows the address,
    #: model and key of, or None.
    backend_config_field: ClassVar[str | None] = None

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        """What in these options does not fit their agent; empty if all does.

        Args:
            variables: Names that ``{{name}}`` may use.
            transfer_targets: Names in the agent's ``call.transfer_to``.

        Returns:
            Messages that may begin with the place, as in ``states.main.say: …``.
        """
        return []


def option_spellings(options: type[BaseModel]) -> dict[str, str]:
    """Every key that an option model understands, older spellings too, and the field it sets."""
    spellings: dict[str, str] = {}
    for name, info in options.model_fields.items():
        alias = info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        spellings.update({choice: name for choice in choices if isinstance(choice, str)})
    return spellings


class KeyedProviderOptions(ProviderOptions):
    """Options of a provider that needs an API key."""

    api_key: SecretStr | None = Field(
        default=None, description="API key; better left to the environment."
    )
    secret_field: ClassVar[str | None] = "api_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFormat:
    """An audio format a provider can take or give without resampling."""

    encoding: WireEncoding
    rate_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """One registered provider of one kind.

    Attributes:
        kind: ``stt``, ``llm`` or ``tts``.
        name: What an operator writes as ``provider``.
        title: For people: tables and messages.
        options: Model of its section in an agent file.
        languages: Our language code to the vendor's own; None where any language goes (LLMs).
        wire_formats: Audio formats, best for telephony first; empty for LLMs.
        secret_env: Environment variable that holds the key, None for keyless providers.
        backend_model: What VoiceERA's backend calls the key among an organisation's own, such as
            ``OpenAI``; None where it keeps none.
        option_env: Further options that an account needs, such as the id of a function, and the
            environment variable that fills each where no file does. An agent is refused while
            one is missing.
        code_switching: The vendor's own codes under which it serves several languages at once,
            such as Deepgram's ``multi``, and which of ours these are.
        elsewhere: Languages that another provider of this vendor serves in its place, and that
            provider's name.
        base_url_env: Environment variable that overrides the address.
        default_base_url: The address used when nobody says otherwise; None for in-process ones.
        address_required: True where every operator's server is elsewhere, so that an agent is
            refused until its address is given.
        build: ``"package.module:function"``, imported when first used. Called as
            ``build(options, context)`` and returns the Pipecat service.
        render: ``"package.module:coroutine"`` or None. For TTS: called as
            ``await render(options, context, text)`` and returns 16-bit little-endian mono PCM
            at ``context.rate_hz``; None means the general one-service pipeline is used.
        prepare: ``"package.module:coroutine"`` or None. Called as ``await prepare(options,
            context)`` when an agent is loaded, for work that its first call should not wait for.
        packages: Import names that must be there; a missing one names ``install``.
        install: Command that installs what is missing.
        closed_vocabulary: True for the keyless recogniser, which hears only listed phrases.
        fixed_address: True where the vendor's own client cannot be pointed at another server:
            tests replace its transport, and nothing was seen over a socket.
        aliases: Further names that operators write.
    """

    kind: ProviderKind
    name: str
    title: str
    options: type[ProviderOptions]
    build: str
    languages: Mapping[str, str] | None = None
    wire_formats: tuple[WireFormat, ...] = ()
    secret_env: str | None = None
    backend_model: str | None = None
    option_env: Mapping[str, str] = field(default_factory=dict)
    code_switching: Mapping[str, frozenset[str]] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    base_url_env: str | None = None
    default_base_url: str | None = None
    address_required: bool = False
    render: str | None = None
    prepare: str | None = None
    packages: tuple[str, ...] = ()
    install: str | None = None
    closed_vocabulary: bool = False
    fixed_address: bool = False
    aliases: tuple[str, ...] = field(default=())

    def supports(self, language: str) -> bool:
        """Whether the vendor speaks or hears ``language`` (a code from ``config.languages``)."""
        return self.languages is None or language in self.languages


class ProviderCatalog:
    """Every provider this installation knows, by kind and name."""

    def __init__(self, specs: Iterable[ProviderSpec] = ()) -> None:
        self._specs: dict[tuple[str, str], ProviderSpec] = {}
        for spec in specs:
            self.add(spec)

    def add(self, spec: ProviderSpec) -> None:
        """Register ``spec`` under its name and aliases.

        Raises:
            ConfigError: The name is taken for that kind.
        """
        for name in (spec.name, *spec.aliases):
            if (spec.kind, name) in self._specs:
                raise ConfigError(f"{spec.kind} provider {name!r} is registered twice")
            self._specs[(spec.kind, name)] = spec

    def find(self, kind: ProviderKind, name: str) -> ProviderSpec | None:
        """The provider of that kind and name or alias, or None."""
        return self._specs.get((kind, name))

    def names(self, kind: ProviderKind) -> list[str]:
        """Registered names of one kind, sorted, without aliases."""
        return sorted({s.name for s in self if s.kind == kind})

    def of_kind(self, kind: ProviderKind) -> list[ProviderSpec]:
        """All providers of one kind, by name."""
        return sorted((s for s in self if s.kind == kind), key=lambda s: s.name)

    def __iter__(self) -> Iterator[ProviderSpec]:
        return iter({id(spec): spec for spec in self._specs.values()}.values())
