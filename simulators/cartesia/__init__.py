"""A stand-in for Cartesia's text-to-speech."""

from simulators.cartesia.server import CartesiaSimulator
from simulators.cartesia.voice import Spoken

__all__ = ["CartesiaSimulator", "Spoken"]
