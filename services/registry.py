"""Every provider this installation knows.

A vendor's package exports ``SPECS``; naming the package here is its one registration.
Importing it must be cheap: clients and models are imported when a call first needs them.
"""

from importlib import import_module

from config.providers import ProviderCatalog, ProviderSpec

VENDORS = (
    "ai4bharat",
    "anthropic",
    "azure",
    "azure_openai",
    "bhashini",
    "cartesia",
    "deepgram",
    "elevenlabs",
    "espeak",
    "google",
    "groq",
    "kenpath",
    "offline",
    "ollama",
    "openai",
    "openrouter",
    "piper",
    "sarvam",
    "script",
    "smallest",
    "soniox",
    "whisper",
    "xai",
)


def _specs() -> list[ProviderSpec]:
    return [spec for vendor in VENDORS for spec in import_module(f"services.{vendor}").SPECS]


catalog = ProviderCatalog(_specs())
