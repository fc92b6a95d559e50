"""What the contract tests must know of ElevenLabs."""

from simulators.elevenlabs import ElevenLabsSimulator

SIMULATORS = {
    ("stt", "elevenlabs"): ElevenLabsSimulator,
    ("tts", "elevenlabs"): lambda: ElevenLabsSimulator(speed=50),
}
