"""What the contract tests must know of Sarvam."""

from simulators.sarvam import SarvamSimulator

SIMULATORS = {
    ("stt", "sarvam"): SarvamSimulator,
    ("llm", "sarvam"): SarvamSimulator,
    ("tts", "sarvam"): lambda: SarvamSimulator(speed=50),
}
