"""What the serializer costs per 20 ms packet.

Run with ``python -m bench.serializer_cost``. Each figure is the best of several rounds in
microseconds per packet, on one core; ``call`` is one packet read and one written, samples
included, and what that comes to as a share of a core at 50 packets a second.
"""

import base64
import json
import timeit
from collections.abc import Callable
from itertools import count

from serializer.base import Dialect
from serializer.client import CLIENT_FORMATS, ClientDialect
from serializer.codecs import AudioFormat
from serializer.messages import Media
from serializer.vobiz import VobizDialect

PACKETS_PER_SECOND = 50
_ROUNDS = 5
_PACKETS = 5000


def per_packet_us(work: Callable[[bytes], object], packets: list[bytes]) -> float:
    """Best time of ``work`` per packet in microseconds; each packet is handed over once."""

    def once() -> None:
        for packet in packets:
            work(packet)

    return min(timeit.repeat(once, number=1, repeat=_ROUNDS)) / len(packets) * 1e6


def vobiz(encoding: str, rate_hz: int) -> tuple[Dialect, Callable[[int, bytes], str]]:
    """A running Vobiz stream, and how its caller's packets are written."""
    dialect = VobizDialect()
    start = {
        "callId": "6d1f0f3e-0000-4000-8000-000000000001",
        "streamId": "b2c30f3e-0000-4000-8000-000000000002",
        "mediaFormat": {"encoding": encoding, "sampleRate": rate_hz},
    }
    dialect.decode(json.dumps({"event": "start", "start": start}))

    def packet(number: int, payload: bytes) -> str:
        body = {
            "track": "inbound",
            "timestamp": str(1_793_514_600_000 + 20 * number),
            "chunk": number,
            "payload": base64.b64encode(payload).decode(),
        }
        message = {"sequenceNumber": number, "streamId": start["streamId"], "event": "media"}
        return json.dumps({**message, "media": body, "extra_headers": "{}"}, separators=(",", ":"))

    return dialect, packet


def client(name: str) -> tuple[Dialect, Callable[[int, bytes], str]]:
    """A running client session, and how its packets are written."""
    dialect = ClientDialect()
    dialect.decode(json.dumps({"type": "auth", "token": "t", "format": name}))
    dialect.ready("5f0c7a52-0000-4000-8000-000000000001")

    def packet(number: int, payload: bytes) -> str:
        data = base64.b64encode(payload).decode()
        message = {"type": "audio", "sequence": number, "format": name, "data": data}
        return json.dumps(message, separators=(",", ":"))

    return dialect, packet


def measure(label: str, dialect: Dialect, write: Callable[[int, bytes], str]) -> str:
    """One line of the table."""
    wire_in, wire_out = dialect.input_format, dialect.output_format
    assert wire_in and wire_out
    pcm = noise(wire_in)
    numbers = count(1)
    rounds = [
        [write(next(numbers), wire_in.encode(pcm)) for _ in range(_PACKETS)] for _ in range(_ROUNDS)
    ]
    decode = min(_decode_us(dialect, packets) for packets in rounds)
    to_pcm = per_packet_us(wire_in.decode, [wire_in.encode(pcm)] * _PACKETS)
    from_pcm = per_packet_us(wire_out.encode, [pcm] * _PACKETS)
    encode = per_packet_us(dialect.audio, [wire_out.encode(pcm)] * _PACKETS)
    call_us = decode + to_pcm + from_pcm + encode
    share = call_us * PACKETS_PER_SECOND / 1e6
    return (
        f"{label:<18}{decode:>8.2f}{to_pcm:>8.2f}{from_pcm:>8.2f}{encode:>8.2f}"
        f"{call_us:>8.2f}{share:>10.5f}"
    )


def _decode_us(dialect: Dialect, packets: list[str]) -> float:
    """Read packets that are all new, and make sure that they were."""
    started = timeit.default_timer()
    messages = [dialect.decode(packet) for packet in packets]
    took_us = (timeit.default_timer() - started) / len(packets) * 1e6
    assert all(isinstance(message, Media) for message in messages)
    return took_us


def noise(wire: AudioFormat) -> bytes:
    """20 ms of samples of every size, 16-bit little-endian."""
    samples = wire.rate_hz // 50
    return b"".join((place * 7919 % 65536).to_bytes(2, "little") for place in range(samples))


def main() -> None:
    """Print the table."""
    print("us per 20 ms packet  read  to pcm from pcm  write    call  of a core")
    print(measure("vobiz mulaw 8k", *vobiz("audio/x-mulaw", 8000)))
    for rate_hz in (8000, 16000, 24000):
        print(measure(f"vobiz l16 {rate_hz // 1000}k", *vobiz("audio/x-l16", rate_hz)))
    for name in CLIENT_FORMATS:
        print(measure(f"client {name}", *client(name)))


if __name__ == "__main__":
    main()
