"""A stand-in for OpenAI, and for vendors that speak its protocol."""

from simulators.openai.audio import Heard, Spoken
from simulators.openai.reply import ChatRequest, Reply, ToolCall
from simulators.openai.server import OpenAISimulator
from simulators.openai.vendors import AzureOpenAISimulator, GroqSimulator, OpenRouterSimulator

__all__ = [
    "AzureOpenAISimulator",
    "ChatRequest",
    "GroqSimulator",
    "Heard",
    "OpenAISimulator",
    "OpenRouterSimulator",
    "Reply",
    "Spoken",
    "ToolCall",
]
