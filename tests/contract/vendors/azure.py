"""What the contract tests must know of Azure AI Speech."""

from simulators.azure import AzureSimulator

SIMULATORS = {
    ("stt", "azure"): AzureSimulator,
    ("tts", "azure"): lambda: AzureSimulator(speed=50),
}
