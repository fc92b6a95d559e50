"""A small catalog, so that these tests depend on no vendor."""

from pydantic import AliasChoices, Field

from config.providers import KeyedProviderOptions, ProviderCatalog, ProviderOptions, ProviderSpec

INDIC = {code: code for code in ("hi", "mr", "ta", "te", "bn", "bhb")}


class KeyedSttOptions(KeyedProviderOptions):
    model: str = "general"
    smart_format: bool = True


class DialogueOptions(ProviderOptions):
    steps: dict[str, str | list[str]] = Field(min_length=1)


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
