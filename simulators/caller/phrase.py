"""Speech ready for the wire, encoded once and said by any number of callers."""

import asyncio
import base64
import math
from dataclasses import dataclass
from typing import NamedTuple

from simulators.caller.codec import WireFormat
from simulators.speech import Pcm


class Packet(NamedTuple):
    """20 ms of audio."""

    raw: bytes
    base64: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """Encoded speech, and the samples it was made of."""

    text: str
    pcm: Pcm
    packets: tuple[Packet, ...]


@dataclass(slots=True, eq=False)
class Utterance:
    """A phrase as it was sent in one call.

    Attributes:
        start_ms: When its first packet left.
        end_ms: When the packet with its last sample left; infinite until then.
        next_packet: How many packets have left.
    """

    phrase: Phrase
    done: asyncio.Future[None]
    start_ms: float = math.inf
    end_ms: float = math.inf
    next_packet: int = 0


def packet_of(raw: bytes) -> Packet:
    """Pair a payload with its base64 form."""
    return Packet(raw, base64.b64encode(raw))


def prepare_phrase(pcm: Pcm, wire_format: WireFormat, text: str = "") -> Phrase:
    """Cut and encode speech; the last packet is padded with silence."""
    return Phrase(text, pcm, tuple(packet_of(raw) for raw in wire_format.packets(pcm)))
