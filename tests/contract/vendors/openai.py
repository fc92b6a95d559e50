"""What the contract tests must know of OpenAI and of servers that speak its protocol."""

from simulators.openai import (
    AzureOpenAISimulator,
    GroqSimulator,
    OpenAISimulator,
    OpenRouterSimulator,
)

SIMULATORS = {
    ("llm", "azure_openai"): AzureOpenAISimulator,
    ("llm", "groq"): GroqSimulator,
    ("llm", "ollama"): OpenAISimulator,
    ("llm", "openai"): OpenAISimulator,
    ("llm", "openai_compatible"): OpenAISimulator,
    ("llm", "openrouter"): OpenRouterSimulator,
    ("llm", "xai"): OpenAISimulator,
    ("stt", "groq"): GroqSimulator,
    ("stt", "openai"): OpenAISimulator,
    ("stt", "openai_realtime"): OpenAISimulator,
    ("tts", "openai"): OpenAISimulator,
}
LEAST = {
    ("llm", "azure_openai"): {"base_url": "http://127.0.0.1:9", "model": "m"},
    ("llm", "ollama"): {"model": "m"},
    ("llm", "openai_compatible"): {"base_url": "http://127.0.0.1:9/v1", "model": "m"},
}
