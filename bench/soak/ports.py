"""Ports that are still free when they are listened on again."""

import random
import socket
from typing import Final

from bench.processes import LOOPBACK, BenchError

#: Below those that the system hands out to connections, from 32,768 on with Linux and from 16,000
#: on with gVisor: a port of ours that is not listened on for a while could be taken by any of them.
_PORTS: Final = range(10_000, 16_000)
_TRIES: Final = 200


def steady_port(rng: random.Random) -> int:
    """A port on loopback that nobody listens on, and that no connection will be given.

    Raises:
        BenchError: None was found.
    """
    for port in rng.sample(_PORTS, _TRIES):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise BenchError(f"none of {_TRIES} ports from {_PORTS.start} on is free")
