"""The recogniser process as the server sees it: started when needed, restarted when it dies."""

import asyncio
import atexit
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import msgspec
from loguru import logger

from config.errors import ProviderError
from services.offline.errors import recognizer_error
from services.offline.vocabulary import Vocabulary
from services.offline.wire import HEADER, MAX_MESSAGE_BYTES, Recognition, Reply, Request

#: From request to answer; starting the process and compiling a large vocabulary take 1-2 s.
DEADLINE_SECONDS = 8.0
#: Utterances that may wait at once; each takes about 30 ms.
MAX_WAITING = 64

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = (sys.executable, "-m", "services.offline.worker")


class RecognizerProcess:
    """One child process that serves every call, one utterance at a time.

    Args:
        command: How to start it; it finds its socket as standard input.
        deadline_seconds: After which a request has failed and the process is replaced.
    """

    def __init__(
        self, command: Sequence[str] = _COMMAND, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._command = tuple(command)
        self._deadline_seconds = deadline_seconds
        # One thread: it spends its time waiting for the child, outside the interpreter's lock.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="offline-stt")
        self._lock = threading.Lock()
        self._waiting = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._decoder = msgspec.msgpack.Decoder(Reply)

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while none runs."""
        return self._child.pid if self._child is not None else None

    async def prepare(self, vocabulary: Vocabulary) -> None:
        """Compile a vocabulary ahead of its first use.

        Raises:
            ProviderError: As for :meth:`recognize`.
        """
        await self._ask(Request(vocabulary))

    async def recognize(
        self, vocabulary: Vocabulary, pcm: bytes, *, rate_hz: int, sensitivity: float
    ) -> Recognition:
        """Recognise one utterance without holding up the event loop.

        Args:
            vocabulary: What may be said.
            pcm: 16-bit little-endian mono.
            rate_hz: Its sample rate.
            sensitivity: 0 accepts next to nothing, 1 everything.

        Raises:
            ProviderError: Too many wait, the process failed twice or took too long, or the
                vocabulary cannot be used.
        """
        return await self._ask(Request(vocabulary, pcm, rate_hz, sensitivity))

    def close(self) -> None:
        """End the child and the thread that waits for it. What waits fails."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._stop()

    async def _ask(self, request: Request) -> Recognition:
        if self._waiting >= MAX_WAITING:
            raise recognizer_error("busy", "too many utterances are waiting", retryable=True)
        message = msgspec.msgpack.encode(request)
        if len(message) > MAX_MESSAGE_BYTES:
            raise recognizer_error("utterance_too_long", "the utterance is too long")
        self._waiting += 1
        try:
            reply = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._exchange, message
            )
        finally:
            self._waiting -= 1
        if reply.error_code:
            raise recognizer_error(reply.error_code, reply.error_message)
        return reply.recognition

    def _exchange(self, message: bytes) -> Reply:
        """Send and receive, once more with a new child if this one is gone."""
        with self._lock:
            for last_try in (False, True):
                try:
                    return self._exchange_once(message)
                except TimeoutError as error:
                    self._stop()
                    raise _failed("took too long") from error
                except (OSError, EOFError, msgspec.MsgspecError) as error:
                    self._stop()
                    logger.warning("offline recogniser process ended unexpectedly: {}", error)
                    if last_try:
                        raise _failed("ended unexpectedly") from error
        raise AssertionError("unreachable")

    def _exchange_once(self, message: bytes) -> Reply:
        connection = self._connection or self._start()
        due = time.monotonic() + self._deadline_seconds
        connection.settimeout(self._deadline_seconds)
        connection.sendall(HEADER.pack(len(message)) + message)
        (length,) = HEADER.unpack(_receive(connection, HEADER.size, due))
        if length > MAX_MESSAGE_BYTES:
            raise EOFError("the answer makes no sense")
        return self._decoder.decode(_receive(connection, length, due))

    def _start(self) -> socket.socket:
        self._connection, theirs = socket.socketpair()
        with theirs:
            # Its own session: Ctrl-C in a terminal is for the server, which drains first.
            self._child = subprocess.Popen(
                self._command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=_ROOT,
                start_new_session=True,
            )
        return self._connection

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


def _receive(connection: socket.socket, length: int, due: float) -> bytes:
    received = bytearray()
    while len(received) < length:
        left = due - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(length - len(received))
        if not piece:
            raise EOFError("connection closed")
        received += piece
    return bytes(received)


def _failed(what: str) -> ProviderError:
    return recognizer_error("recognizer_failed", f"the recogniser process {what}", retryable=True)


@cache
def shared_process() -> RecognizerProcess:
    """The one recogniser process of this server; closed when the server exits."""
    process = RecognizerProcess()
    atexit.register(process.close)
    return process
