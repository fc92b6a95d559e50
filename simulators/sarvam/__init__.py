"""A stand-in for Sarvam: realtime speech-to-text, chat, and streaming text-to-speech."""

from simulators.sarvam.recognition import HeardSpeech
from simulators.sarvam.server import SarvamSimulator
from simulators.sarvam.session import Spoken

__all__ = ["HeardSpeech", "SarvamSimulator", "Spoken"]
