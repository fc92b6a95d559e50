"""What the contract tests must know of Cartesia."""

from simulators.cartesia import CartesiaSimulator

SIMULATORS = {
    ("tts", "cartesia"): lambda: CartesiaSimulator(speed=50),
}
