"""A stand-in for Anthropic's Messages API."""

from simulators.anthropic.reply import MessageRequest, Reply, ToolUse
from simulators.anthropic.server import AnthropicSimulator

__all__ = ["AnthropicSimulator", "MessageRequest", "Reply", "ToolUse"]
