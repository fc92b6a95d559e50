"""What the contract tests must know of Sarvam."""

from simulators.sarvam import SarvamSimulator

SIMULATORS = {
    ("tts", "sarvam"): lambda: SarvamSimulator(speed=50),
}
