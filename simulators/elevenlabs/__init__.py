"""A stand-in for ElevenLabs' realtime speech-to-text and its text-to-speech."""

from simulators.elevenlabs.server import ElevenLabsSimulator

__all__ = ["ElevenLabsSimulator"]
