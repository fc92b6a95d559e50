"""A stand-in for Vobiz's REST interface and the host of its recordings."""

from simulators.vobiz.server import VobizApiSimulator

__all__ = ["VobizApiSimulator"]
