"""What the contract tests must know of Deepgram."""

from simulators.deepgram import DeepgramSimulator

SIMULATORS = {
    ("stt", "deepgram"): DeepgramSimulator,
    ("stt", "deepgram_flux"): DeepgramSimulator,
    ("tts", "deepgram"): lambda: DeepgramSimulator(speed=50),
}
