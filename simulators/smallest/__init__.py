"""A stand-in for Smallest AI's text-to-speech."""

from simulators.smallest.server import SmallestSimulator
from simulators.smallest.session import Spoken

__all__ = ["SmallestSimulator", "Spoken"]
