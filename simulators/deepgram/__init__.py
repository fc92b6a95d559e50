"""A stand-in for Deepgram: live speech-to-text and streaming text-to-speech."""

from simulators.deepgram.script import Heard, Utterance
from simulators.deepgram.server import DeepgramSimulator
from simulators.deepgram.stream import Timing

__all__ = ["DeepgramSimulator", "Heard", "Timing", "Utterance"]
