"""A stand-in for Soniox's real-time speech-to-text."""

from simulators.soniox.server import SonioxSimulator

__all__ = ["SonioxSimulator"]
