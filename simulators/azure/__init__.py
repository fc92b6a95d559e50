"""A stand-in for Azure AI Speech: recognition and synthesis over its WebSocket protocol."""

from simulators.azure.server import AzureSimulator
from simulators.azure.synthesis import Spoken

__all__ = ["AzureSimulator", "Spoken"]
