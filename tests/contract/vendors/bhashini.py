"""What the contract tests must know of Bhashini."""

from simulators.bhashini import BhashiniSimulator
from simulators.bhashini.nvcf import NvcfSimulator

SIMULATORS = {
    ("stt", "bhashini"): BhashiniSimulator,
    ("tts", "bhashini"): BhashiniSimulator,
    ("stt", "bhashini_bhili"): NvcfSimulator,
    ("tts", "bhashini_parler"): NvcfSimulator,
}
LEAST = {
    ("stt", "bhashini_bhili"): {"function_id": "any"},
    ("tts", "bhashini_parler"): {"function_id": "any"},
}
