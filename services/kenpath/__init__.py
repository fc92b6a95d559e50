"""Kenpath's farm advisers: Vistaar, which streams Hindi and Marathi, and Voice Bhili.

Each keeps the conversation on its own server, under the call's id, and is sent what the caller
said last. An agent's prompt and tools are not for them.
"""

from pydantic import AliasChoices, ConfigDict, Field, SecretStr, field_validator

from config.providers import ProviderOptions, ProviderSpec

__all__ = ["DEV_ADDRESS", "PROD_ADDRESS", "SPECS", "BhiliLLMOptions", "VistaarLLMOptions"]

PROD_ADDRESS = "https://voice-prod.mahapocra.gov.in"
DEV_ADDRESS = "https://vistaar-dev.mahapocra.gov.in"


class _KenpathOptions(ProviderOptions):
    """What both advisers take."""

    # Whoever writes the key itself where its path belongs must not find it in a log.
    model_config = ConfigDict(hide_input_in_errors=True)

    jwt_private_key_path: SecretStr | None = Field(
        default=None,
        description="File with the RSA private key (PEM) that signs the tokens; better left to "
        "the environment.",
    )
    first_text_timeout_seconds: float = Field(
        default=8.0,
        ge=0.5,
        le=60,
        description="How long an answer may take to begin.",
    )
    total_timeout_seconds: float = Field(
        default=60.0, ge=1, le=300, description="How long an answer may take in all."
    )
    secret_field = "jwt_private_key_path"

    @field_validator("jwt_private_key_path")
    @classmethod
    def _is_a_path(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and "-----BEGIN" in value.get_secret_value():
            raise ValueError("this is a key; write it to a file and give the file's path")
        return value


class VistaarLLMOptions(_KenpathOptions):
    """Options of ``llm.kenpath``."""

    jwt_phone: str = Field(
        min_length=1,
        max_length=32,
        coerce_numbers_to_str=True,
        validation_alias=AliasChoices("jwt_phone", "jwt_subject"),
        description="Telephone number that the tokens are made out to (their subject).",
    )
    environment: str = Field(
        default="prod",
        pattern="^(prod|dev)$",
        validation_alias=AliasChoices("environment", "vistaar_environment"),
        description="prod or dev: which of Kenpath's servers, where no address is given.",
    )
    stall_timeout_seconds: float = Field(
        default=3.0, ge=0.2, le=60, description="How long an answer may pause once it has begun."
    )


class BhiliLLMOptions(_KenpathOptions):
    """Options of ``llm.kenpath_bhili``."""

    jwt_phone: str | None = Field(
        default=None,
        max_length=32,
        coerce_numbers_to_str=True,
        validation_alias=AliasChoices("jwt_phone", "jwt_subject"),
        description="Telephone number that tokens are made out to. Tokens are sent only where "
        "this and a key are given.",
    )


SPECS = (
    ProviderSpec(
        kind="llm",
        name="kenpath",
        title="Kenpath Vistaar",
        options=VistaarLLMOptions,
        build="services.kenpath.llm:build_vistaar",
        prepare="services.kenpath.llm:prepare_vistaar",
        languages={"hi": "hi", "mr": "mr"},
        secret_env="KENPATH_JWT_PRIVATE_KEY_PATH",
        base_url_env="KENPATH_VISTAAR_API_URL",
        default_base_url=PROD_ADDRESS,
        packages=("cryptography",),
        install="pip install cryptography",
    ),
    ProviderSpec(
        kind="llm",
        name="kenpath_bhili",
        title="Kenpath Voice Bhili",
        options=BhiliLLMOptions,
        build="services.kenpath.llm:build_bhili",
        languages={"bhb": "bhb"},
        base_url_env="KENPATH_VOICE_BHILI_URL",
        default_base_url=f"{DEV_ADDRESS}/api/voice-bhili",
        packages=("cryptography",),
        install="pip install cryptography",
    ),
)
