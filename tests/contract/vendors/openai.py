"""What the contract tests must know of OpenAI."""

from simulators.openai import OpenAISimulator

SIMULATORS = {
    ("llm", "openai"): OpenAISimulator,
    ("llm", "openai_compatible"): OpenAISimulator,
}
LEAST = {
    ("llm", "openai_compatible"): {"base_url": "http://127.0.0.1:9/v1", "model": "m"},
}
