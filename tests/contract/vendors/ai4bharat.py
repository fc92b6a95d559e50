"""What the contract tests must know of AI4Bharat."""

from simulators.ai4bharat import AI4BharatSTTSimulator, AI4BharatTTSSimulator

SIMULATORS = {
    ("stt", "ai4bharat"): AI4BharatSTTSimulator,
    ("tts", "ai4bharat"): lambda: AI4BharatTTSSimulator(speed=50),
}
