"""What the contract tests must know of Smallest AI."""

from simulators.smallest import SmallestSimulator

SIMULATORS = {
    ("tts", "smallest"): lambda: SmallestSimulator(speed=50),
}
