"""What the contract tests must know of Bhashini."""

from simulators.bhashini import BhashiniSimulator

SIMULATORS = {
    ("stt", "bhashini"): BhashiniSimulator,
    ("tts", "bhashini"): BhashiniSimulator,
}
