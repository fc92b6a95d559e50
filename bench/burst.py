"""Callers that all ring at once and do next to nothing else: bare sockets, no event loop.

What a caller costs here is a few system calls, so that what is measured is the server and not
whoever asks it. How much is left is seen by the same burst at a server that does nothing.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final, Literal
from urllib.parse import urlencode

from bench.processes import LOOPBACK, BenchError
from simulators.caller.codec import MULAW_8K
from simulators.caller.vobiz_messages import start_message

#: ``asks`` is the answer webhook alone, ``streams`` a socket alone, ``calls`` both in turn.
Manner = Literal["asks", "streams", "calls"]
Outcome = Literal["line", "busy", "odd"]

LONGEST_SECONDS: Final = 20.0
_READ_BYTES: Final = 65536
_CLOSE_OPCODE: Final = 8
_KEY: Final = "AAAAAAAAAAAAAAAAAAAAAA=="


@dataclass(slots=True)
class Told:
    """What came of one call.

    Attributes:
        told_ms: From its first connection to the whole of what it was told: the answer's XML,
            the 503, or the close of its socket; of a socket that was accepted, to the upgrade.
        sound_ms: From opening its socket to the first sound, where there was any.
        seen: The answer, shortly, for a complaint.
    """

    call_id: str
    outcome: Outcome = "odd"
    told_ms: float = 0.0
    sound_ms: float | None = None
    seen: str = ""


@dataclass(slots=True)
class _Caller:
    """One call on its way; its socket changes when the answer says where to stream."""

    told: Told
    manner: Manner
    began_at: float
    streaming: bool
    line: socket.socket
    unsent: bytes
    opened_at: float
    upgraded: bool = False
    got: bytearray = field(default_factory=bytearray)


class Crowd:
    """All callers of one server, and the lines that they hold.

    Args:
        path: Of its media socket.
    """

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._path = path
        self._held: list[socket.socket] = []

    def burst(self, count: int, manner: Manner) -> list[Told]:
        """So many calls at the same moment, until each knows where it stands.

        Those that get a line hold it until :meth:`hang_up`.

        Raises:
            BenchError: The server does not take a connection, or does not tell in time.
        """
        poll = select.epoll()
        callers: dict[int, _Caller] = {}
        for _ in range(count):
            self._ring(poll, callers, manner)
        until = time.monotonic() + LONGEST_SECONDS
        told: list[Told] = []
        with contextlib.closing(poll):
            while callers:
                events = poll.poll(max(0.0, until - time.monotonic()), count)
                if not events:
                    raise BenchError(f"{len(callers)} of {count} callers were told nothing")
                for handle, _ in events:
                    caller = callers.pop(handle)
                    line = caller.line
                    if self._go_on(caller):
                        told.append(caller.told)
                        self._part(poll, caller)
                        continue
                    callers[caller.line.fileno()] = caller
                    watch = poll.modify if caller.line is line else poll.register
                    watch(caller.line, select.EPOLLOUT if caller.unsent else select.EPOLLIN)
        return told

    def hang_up(self, told: Sequence[Told]) -> None:
        """Give every line back: sockets are closed, and the carrier tells of the rest.

        Raises:
            BenchError: The server refuses to hear of it.
        """
        while self._held:
            self._held.pop().close()
        for each in told:
            if each.outcome == "line":
                post(self._port, "/hangup", {"CallUUID": each.call_id, "Event": "Hangup"})

    def _ring(self, poll: select.epoll, callers: dict[int, _Caller], manner: Manner) -> None:
        now = time.monotonic()
        told = Told(f"burst-{token_hex(8)}")
        streaming = manner == "streams"
        request = upgrade_request(self._path) if streaming else answer_request(told.call_id)
        caller = _Caller(told, manner, now, streaming, _connecting(self._port), request, now)
        callers[caller.line.fileno()] = caller
        poll.register(caller.line, select.EPOLLOUT)

    def _part(self, poll: select.epoll, caller: _Caller) -> None:
        poll.unregister(caller.line)
        if caller.told.outcome == "line" and caller.streaming:
            self._held.append(caller.line)
        else:
            caller.line.close()

    def _go_on(self, caller: _Caller) -> bool:
        """Send or read what there is; whether the caller knows where it stands."""
        if caller.unsent:
            sent = caller.line.send(caller.unsent)
            caller.unsent = caller.unsent[sent:]
            return False
        data = caller.line.recv(_READ_BYTES)
        caller.got += data
        now = time.monotonic()
        if caller.upgraded:
            return self._hear(caller, now, ended=not data)
        answer = whole_answer(caller.got)
        if answer is None:
            if not data:
                caller.told.seen = "the connection broke off"
            return not data
        status, body = answer
        caller.told.told_ms = (now - caller.began_at) * 1000
        caller.told.seen = f"{status} {body[:200]!r}"
        if caller.streaming:
            return self._upgraded(caller, status, body)
        if status == 200 and b"<Stream" in body:
            caller.told.outcome = "line"
            return caller.manner == "asks" or self._stream(caller)
        if status == 200 and (b"<Speak" in body or b"<Play" in body):
            caller.told.outcome = "busy"
        return True

    def _stream(self, caller: _Caller) -> bool:
        """Open the socket that the answer names, which is always this server's."""
        caller.line.close()
        caller.line, caller.unsent = _connecting(self._port), upgrade_request(self._path)
        caller.streaming, caller.opened_at = True, time.monotonic()
        caller.got.clear()
        return False

    def _upgraded(self, caller: _Caller, status: int, body: bytes) -> bool:
        if status != 101:
            caller.told.outcome = "busy" if status == 503 else "odd"
            return True
        call_id = caller.told.call_id
        caller.unsent = _text_frame(start_message(call_id, f"s-{call_id}", "bench", MULAW_8K))
        caller.got[:] = body
        caller.upgraded = True
        return False

    def _hear(self, caller: _Caller, now: float, *, ended: bool) -> bool:
        """The first frame after ``start``: sound, or the close of a call without a line."""
        if len(caller.got) < 2 and not ended:
            return False
        closed = ended or caller.got[0] & 0x0F == _CLOSE_OPCODE
        caller.told.seen = f"101, then {bytes(caller.got[:100])!r}"
        if not closed:
            caller.told.outcome = "line"
            caller.told.sound_ms = (now - caller.opened_at) * 1000
        else:
            caller.told.outcome = "odd" if ended else "busy"
            caller.told.told_ms = (now - caller.began_at) * 1000
        return True


def upgrade_request(path: str) -> bytes:
    """What opens a WebSocket (RFC 6455 section 4.1)."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {_KEY}\r\n\r\n"
    ).encode()


def answer_request(call_id: str) -> bytes:
    """The carrier's webhook for a call that comes in (vobiz.md section 1.2)."""
    fields = {
        "CallUUID": call_id,
        "Event": "StartApp",
        "Direction": "inbound",
        "From": "919000000001",
        "To": "918000000001",
        "CallStatus": "ringing",
    }
    return _post_request("/answer", fields)


def post(port: int, path: str, fields: Mapping[str, str]) -> None:
    """Tell the server something, and wait until it has heard.

    Raises:
        BenchError: It answers with an error, or not at all.
    """
    with socket.create_connection((LOOPBACK, port), timeout=LONGEST_SECONDS) as line:
        line.sendall(_post_request(path, fields))
        got = bytearray()
        while (answer := whole_answer(got)) is None:
            if not (data := line.recv(_READ_BYTES)):
                raise BenchError(f"{path} breaks off")
            got += data
    if answer[0] >= 300:
        raise BenchError(f"{path} says {answer[0]}")


def whole_answer(got: bytes | bytearray) -> tuple[int, bytes] | None:
    """Status and body of an HTTP answer; None while it is not all there.

    What follows the head of a 101 is its body: frames that came along with it.
    """
    head, end, rest = bytes(got).partition(b"\r\n\r\n")
    if not end:
        return None
    lines = head.split(b"\r\n")
    status = int(lines[0].split(b" ")[1])
    length = next((int(each[15:]) for each in lines if each[:15].lower() == b"content-length:"), 0)
    return None if len(rest) < length else (status, rest)


def wait_until(met: Callable[[], bool], what: str, *, within_seconds: float) -> None:
    """Look again and again, seldom enough to cost nothing.

    Raises:
        BenchError: It did not come about; ``what`` says what.
    """
    until = time.monotonic() + within_seconds
    while not met():
        if time.monotonic() > until:
            raise BenchError(f"waited {within_seconds:g} s for this: {what}")
        time.sleep(0.05)


def _post_request(path: str, fields: Mapping[str, str]) -> bytes:
    body = urlencode(fields)
    return (
        f"POST {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _text_frame(payload: bytes) -> bytes:
    """A client's text frame under 64 KiB, masked with zeros (RFC 6455 section 5.2)."""
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


def _connecting(port: int) -> socket.socket:
    line = socket.socket()
    line.setblocking(False)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.connect_ex((LOOPBACK, port))
    return line
