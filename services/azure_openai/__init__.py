"""Azure OpenAI: OpenAI's models in a deployment of one's own at Microsoft."""

from collections.abc import Collection

from pydantic import AliasChoices, Field

from config.providers import ProviderSpec
from services.openai import OpenAILLMOptions

__all__ = ["SPECS", "V1_PATH", "AzureOpenAILLMOptions"]

#: An address that ends in this means the interface without dated versions.
V1_PATH = "/openai/v1"


class AzureOpenAILLMOptions(OpenAILLMOptions):
    """Options of ``llm.azure_openai``."""

    base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "base_url", "endpoint", "azure_endpoint", "service_url", "api_base"
        ),
        description="The resource, such as https://my-resource.openai.azure.com; or the same "
        "ending in /openai/v1, which needs no api_version.",
    )
    model: str = Field(
        validation_alias=AliasChoices("model", "deployment", "azure_deployment"),
        description="Name of the deployment.",
    )
    api_version: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}(-preview)?$",
        description="Version of the interface; by default 2025-04-01-preview.",
    )

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        """A version with an address that has none."""
        if self.api_version and (self.base_url or "").rstrip("/").endswith(V1_PATH):
            return [f"api_version: an address that ends in {V1_PATH} has no versions"]
        return []


SPECS = (
    ProviderSpec(
        kind="llm",
        name="azure_openai",
        title="Azure OpenAI",
        options=AzureOpenAILLMOptions,
        build="services.azure_openai.llm:build_llm",
        secret_env="AZURE_OPENAI_API_KEY",
        base_url_env="AZURE_OPENAI_ENDPOINT",
        address_required=True,
        packages=("openai",),
        install="pip install openai",
        aliases=("azure",),
    ),
)
