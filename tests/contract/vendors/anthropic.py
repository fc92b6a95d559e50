"""What the contract tests must know of Anthropic."""

from simulators.anthropic import AnthropicSimulator

SIMULATORS = {
    ("llm", "anthropic"): AnthropicSimulator,
}
