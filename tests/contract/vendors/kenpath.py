"""What the contract tests must know of Kenpath."""

from simulators.kenpath import KenpathSimulator

SIMULATORS = {
    ("llm", "kenpath"): KenpathSimulator,
    ("llm", "kenpath_bhili"): KenpathSimulator,
}
LEAST = {
    ("llm", "kenpath"): {"jwt_phone": "910000000000"},
}
