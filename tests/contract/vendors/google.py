"""What the contract tests must know of Google."""

from simulators.google import GeminiSimulator, GoogleSpeechSimulator

SIMULATORS = {
    ("stt", "google"): GoogleSpeechSimulator,
    ("tts", "google"): lambda: GoogleSpeechSimulator(speed=50),
    ("llm", "google"): GeminiSimulator,
}
