"""A stand-in for Deepgram's live speech-to-text."""

from simulators.deepgram.script import Heard, Utterance
from simulators.deepgram.server import DeepgramSimulator
from simulators.deepgram.stream import Timing

__all__ = ["DeepgramSimulator", "Heard", "Timing", "Utterance"]
