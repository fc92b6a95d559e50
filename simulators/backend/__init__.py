"""A stand-in for VoiceERA's backend."""

from simulators.backend.server import BackendSimulator

__all__ = ["BackendSimulator"]
