"""Stand-ins for Google: Cloud speech in both directions over gRPC, and the Gemini models."""

from simulators.google.gemini import FunctionCall, GeminiSimulator, Reply
from simulators.google.speech import GoogleSpeechSimulator

__all__ = ["FunctionCall", "GeminiSimulator", "GoogleSpeechSimulator", "Reply"]
