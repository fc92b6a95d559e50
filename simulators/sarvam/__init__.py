"""A stand-in for Sarvam's streaming text-to-speech."""

from simulators.sarvam.server import SarvamSimulator
from simulators.sarvam.session import Spoken

__all__ = ["SarvamSimulator", "Spoken"]
