"""A stand-in for OpenAI's chat completions."""

from simulators.openai.reply import ChatRequest, Reply, ToolCall
from simulators.openai.server import OpenAISimulator

__all__ = ["ChatRequest", "OpenAISimulator", "Reply", "ToolCall"]
