"""The bursts of the benchmark: what callers understand of a server's answers, and the table."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.burst import Crowd, Manner, Outcome, answer_request, whole_answer
from bench.burst_echo import Echo
from bench.processes import BenchError
from bench.refusals import report
from tests.until import until

LINE = b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n<Response><Stream>x</Stream"
BUSY = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n<Speak>x</Speak>"
FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"
SOUND = b'\x81\x15{"event":"playAudio"}'
CLOSED = b"\x88\x02\x03\xf5"


class Scripted(asyncio.Protocol):
    """Says the next thing of a list whenever something comes."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = iter(answers)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A caller has said something, in one piece."""
        answer = next(self._answers, b"")
        self._transport.write(answer) if answer else self._transport.close()


@contextmanager
def served(make: Callable[[], asyncio.Protocol]) -> Iterator[int]:
    """A server in a thread; gives its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connected: set[asyncio.Protocol] = set()

    def connect() -> asyncio.Protocol:
        protocol = make()
        connected.add(protocol)

        def lose(exc: Exception | None) -> None:
            connected.discard(protocol)

        protocol.connection_lost = lose  # type: ignore[method-assign]
        return protocol

    async def listen() -> asyncio.Server:
        return await loop.create_server(connect, "127.0.0.1", 0)

    async def end(server: asyncio.Server) -> None:
        server.close()
        await server.wait_closed()
        await until(lambda: not connected)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    ("manner", "answers", "outcome"),
    [
        ("asks", [LINE], "line"),
        ("asks", [BUSY], "busy"),
        ("asks", [BROKEN], "odd"),
        ("asks", [], "odd"),
        ("streams", [FULL], "busy"),
        ("streams", [UPGRADED, SOUND], "line"),
        ("streams", [UPGRADED, CLOSED], "busy"),
        ("streams", [UPGRADED], "odd"),
    ],
)
def test_what_came_of_a_call(manner: Manner, answers: list[bytes], outcome: Outcome) -> None:
    with served(lambda: Scripted(answers)) as port:
        crowd = Crowd(port, "/voice/x")
        told = crowd.burst(3, manner)
        assert [each.outcome for each in told] == [outcome] * 3
        assert all((each.sound_ms is not None) == (SOUND in answers) for each in told)
        crowd.hang_up([])


def test_everybody_is_told_by_the_echo() -> None:
    with served(Echo) as port:
        told = Crowd(port, "/").burst(20, "asks")
    assert [each.outcome for each in told] == ["busy"] * 20
    assert len({each.call_id for each in told}) == 20


class Calls(Scripted):
    """A whole server: a line for whoever asks, sound on it, and an error at the end."""

    def data_received(self, data: bytes) -> None:
        """By the door."""
        if data.startswith(b"POST /answer"):
            self._transport.write(LINE)
        elif data.startswith(b"POST /hangup"):
            self._transport.write(BROKEN)
        else:
            super().data_received(data)


def test_a_call_moves_from_its_answer_to_its_socket() -> None:
    with served(lambda: Calls([UPGRADED, SOUND])) as port:
        crowd = Crowd(port, "/voice/x")
        told = crowd.burst(5, "calls")
        assert [each.outcome for each in told] == ["line"] * 5
        assert all(each.sound_ms is not None for each in told)
        with pytest.raises(BenchError, match="/hangup says 500"):
            crowd.hang_up(told)


@pytest.mark.parametrize("cut", range(1, len(BUSY)))
def test_an_answer_is_whole_when_it_is_all_there(cut: int) -> None:
    assert whole_answer(BUSY[:cut]) is None
    assert whole_answer(BUSY) == (200, b"<Speak>x</Speak>")


def test_a_request_is_whole_to_the_echo() -> None:
    request = answer_request("c")
    assert whole_answer(b"- 0 \r\n" + request[:-1]) is None
    assert whole_answer(b"- 0 \r\n" + request) is not None


def test_the_table_compares_two_servers() -> None:
    row = ("a burst", "busy: told")
    text = report({"this": {row: [10.0, 20.0]}, "beside": {row: [100.0, 80.0]}}, [1.0])
    assert "| a burst | busy: told | this | 2 | 10.0 | 20.0 | 20.0 | 0.20 |" in text
    assert "| a burst | busy: told | beside | 2 | 80.0 | 100.0 | 100.0 |  |" in text
    assert "| echo, 40 webhooks | told | echo | 1 | 1.0 | 1.0 | 1.0 |  |" in text
