"""A stand-in for Kenpath's advisers."""

from simulators.kenpath.server import Answers, KenpathSimulator, Question

__all__ = ["Answers", "KenpathSimulator", "Question"]
