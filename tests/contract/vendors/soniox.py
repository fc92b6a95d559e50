"""What the contract tests must know of Soniox."""

from simulators.soniox import SonioxSimulator

SIMULATORS = {
    ("stt", "soniox"): SonioxSimulator,
}
