"""A stand-in for Bhashini."""

from simulators.bhashini.server import BhashiniSimulator
from simulators.bhashini.speech import Heard, Texts
from simulators.bhashini.tasks import Spoken

__all__ = ["BhashiniSimulator", "Heard", "Spoken", "Texts"]
