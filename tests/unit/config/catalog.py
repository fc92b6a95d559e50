"""A small catalog, so that these tests depend on no vendor."""

from collections.abc import Collection
from typing import Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from config.problems import PlacedErrors
from config.providers import KeyedProviderOptions, ProviderCatalog, ProviderOptions, ProviderSpec

INDIC = {code: code for code in ("hi", "mr", "ta", "te", "bn", "bhb")}


class KeyedSttOptions(KeyedProviderOptions):
    model: str = "general"
    smart_format: bool = True


class MenuEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: str
    say: str


class DialogueOptions(ProviderOptions):
    steps: dict[str, str | list[str]] = Field(min_length=1)
    menus: dict[str, list[str | MenuEntry] | None] = Field(default_factory=dict)
    desk: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        empty = [name for name, text in self.steps.items() if text == "TODO"]
        if empty:
            raise PlacedErrors(f"steps.{name}: has nothing to say" for name in empty)
        return self

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        if self.desk is None or self.desk in transfer_targets:
            return []
        return [f"desk: there is no {self.desk!r} among {', '.join(transfer_targets)}"]


class ChatOptions(KeyedProviderOptions):
    model: str = "small"
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_tokens: int | None = None


class VoiceOptions(KeyedProviderOptions):
    voice: str = Field(default="v", validation_alias=AliasChoices("voice", "voice_id"))
    model: str = "sonic"


class SpeakerOptions(ProviderOptions):
    voice: str = "Divya"
    description: str = ""


def small_catalog() -> ProviderCatalog:
    """Providers under well-known names, with option models of this file."""

    def spec(kind: str, name: str, options: type[ProviderOptions], **more: object) -> ProviderSpec:
        return ProviderSpec(
            kind=kind,  # type: ignore[arg-type]
            name=name,
            title=name.title(),
            options=options,
            build="tests.unit.config.catalog:small_catalog",
            **more,  # type: ignore[arg-type]
        )

    return ProviderCatalog(
        (
            spec("stt", "offline", ProviderOptions, languages={**INDIC, "en-IN": "en-us"}),
            spec(
                "stt",
                "deepgram",
                KeyedSttOptions,
                languages={"hi": "hi", "en-IN": "en-IN", "ta": "ta"},
                secret_env="DEEPGRAM_API_KEY",
                base_url_env="DEEPGRAM_BASE_URL",
                default_base_url="wss://stt.example",
            ),
            spec("stt", "ai4bharat", ProviderOptions, languages=INDIC),
            spec("llm", "script", DialogueOptions),
            spec("llm", "openai", ChatOptions, secret_env="OPENAI_API_KEY"),
            spec("llm", "local", ChatOptions),
            spec("tts", "espeak", ProviderOptions, languages={**INDIC, "en-IN": "en-gb"}),
            spec(
                "tts",
                "cartesia",
                VoiceOptions,
                languages={"hi": "hi", "en-IN": "en"},
                secret_env="CARTESIA_API_KEY",
            ),
            spec("tts", "ai4bharat", SpeakerOptions, languages=INDIC),
            spec(
                "tts",
                "absent",
                ProviderOptions,
                languages=INDIC,
                packages=("a_package_that_is_not_there",),
                install="pip install 'server[absent]'",
            ),
        )
    )
