"""Deepgram's live speech-to-text, one client on ``/v1/listen``."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from simulators.base import new_id
from simulators.connection import Connection
from simulators.deepgram import messages
from simulators.deepgram.messages import Messages
from simulators.deepgram.query import ListenQuery
from simulators.deepgram.script import Heard, Utterance, Utterances, recognise
from simulators.deepgram.stream import ListenStream, Timing

_IDLE_REASON: Final = (
    "Deepgram did not receive audio data or a text message within the timeout window."
    " See https://dpgr.am/net0001"
)
_UNDECODABLE_REASON: Final = "The payload cannot be decoded as audio. See https://dpgr.am/data0000"
_KEYTERM_LIMIT: Final = 500
_MAX_OUTBOX: Final = 10_000

_FIELDS: Final = {
    "KeepAlive": {"type"},
    "Finalize": {"type"},
    "CloseStream": {"type"},
    "Configure": {"type", "keyterms", "features"},
}


class Hearing(Protocol):
    """How the simulator hears, and what it counts; see there."""

    utterances: Utterances
    timing: Timing
    latency_ms: float
    shared_script: bool
    idle_timeout_seconds: float
    utterance_count: int

    def violate(self, text: str) -> None:
        """Note what no correct client would have sent."""


def _parse_control(text: str) -> dict[str, Any]:
    """A control message.

    Raises:
        ValueError: It is none.
    """
    try:
        message = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ValueError(f"unknown message type {kind!r}")
    unknown = set(message) - _FIELDS[kind]
    if unknown:
        raise ValueError(f"unknown fields in {kind}: {sorted(unknown)}")
    keyterms = message.get("keyterms")
    if keyterms is not None and not (
        isinstance(keyterms, list) and all(isinstance(term, str) for term in keyterms)
    ):
        raise ValueError("keyterms must be a list of strings")
    return dict(message)


class ListenSession:
    """One client on ``/v1/listen``."""

    def __init__(self, simulator: "Hearing", connection: Connection, query: ListenQuery) -> None:
        self._simulator = simulator
        self._connection = connection
        self._query = query
        self._made = Messages(query, new_id())
        self._stream = ListenStream(
            query=query,
            made=self._made,
            timing=simulator.timing,
            say=self._say,
            recognise=self._recognise,
        )
        self._outbox: asyncio.Queue[tuple[float, str]] = asyncio.Queue(_MAX_OUTBOX)
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._began_at = self._loop.time()
        self._even = self._stream.bytes_per_sample
        self._utterances = 0
        self._is_closing = False

    async def run(self, websocket: web.WebSocketResponse) -> None:
        """Listen until either side closes."""
        sender = asyncio.create_task(self._send_outbox())
        watch = asyncio.create_task(self._watch_idle())
        try:
            async for message in websocket:
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                self._heard_at = self._loop.time()
                if message.type is WSMsgType.BINARY:
                    await self._hear(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._control(message)
        finally:
            for task in (sender, watch):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _hear(self, audio: bytes) -> None:
        connection = self._connection
        if not audio:
            self._violate("an empty binary frame, which ends the stream")
            await self._close_stream()
            return
        if len(audio) % self._even:
            self._violate(f"{len(audio)} bytes of {self._query.encoding}: half a sample")
            await connection.close(1008, _UNDECODABLE_REASON)
            return
        if len(audio) < 64 and audio[:1] == b"{":
            self._violate("a control message in a binary frame, which is taken for audio")
        connection.hear(audio)
        if connection.due_error():
            self._say(messages.error("ServerError", "The stream failed."), 0.0)
        self._stream.hear(audio)

    async def _control(self, frame: WSMessage) -> None:
        self._connection.read(frame.data)
        try:
            message = _parse_control(frame.data)
        except ValueError as error:
            self._violate(str(error))
            self._say(messages.error("SchemaError", str(error), frame.data), 0.0)
            return
        kind = message["type"]
        if kind == "Finalize":
            self._stream.finalize()
        elif kind == "CloseStream":
            await self._close_stream()
        elif kind == "Configure":
            self._configure(message.get("keyterms"))

    def _configure(self, keyterms: Sequence[str] | None) -> None:
        if keyterms is not None and not self._query.is_nova_3:
            answer = ("CONFIGURE_KEYTERMS_NOT_SUPPORTED", "Only Nova-3 models take keyterms.")
            self._say(self._made.not_configured(*answer), 0.0)
        elif keyterms and sum(len(term.split()) for term in keyterms) > _KEYTERM_LIMIT:
            answer = ("CONFIGURE_KEYTERM_LIMIT_EXCEEDED", "More than 500 tokens of keyterms.")
            self._say(self._made.not_configured(*answer), 0.0)
        else:
            self._say(self._made.configured(keyterms), 0.0)

    async def _close_stream(self) -> None:
        """The rest of the results, ``Metadata``, 1000."""
        if self._is_closing:
            return
        self._is_closing = True
        self._stream.finish()
        audio = self._connection.audio
        self._say(self._made.metadata(audio, self._stream.position_ms), 0.0)
        await self._outbox.join()
        if not self._connection.silent:
            await self._connection.close(1000)

    def _violate(self, text: str) -> None:
        self._simulator.violate(f"connection {self._connection.index}: {text}")

    # -- results -----------------------------------------------------------------------

    def _recognise(self, start_ms: float, end_ms: float, is_over: bool) -> Utterance:
        simulator, connection = self._simulator, self._connection
        number = simulator.utterance_count if simulator.shared_script else self._utterances
        if is_over:
            simulator.utterance_count += 1
            self._utterances += 1
        if connection.behaviour.empty:
            return Utterance("")
        audio = b""
        if callable(simulator.utterances):
            rate = self._query.sample_rate_hz * self._even // 1000
            audio = bytes(connection.audio[int(start_ms) * rate : int(end_ms) * rate])
        heard = Heard(connection.index, number, start_ms, end_ms - start_ms, audio)
        return recognise(simulator.utterances, heard)

    def _say(self, text: str, delay_ms: float) -> None:
        due = self._loop.time() + (delay_ms + self._simulator.latency_ms) / 1000
        speed = self._connection.behaviour.speed
        if speed is not None:
            due = max(due, self._began_at + self._stream.position_ms / speed / 1000)
        self._outbox.put_nowait((due, text))

    async def _send_outbox(self) -> None:
        while True:
            due, text = await self._outbox.get()
            wait_seconds = due - self._loop.time()
            if wait_seconds > 0:
                await asyncio.sleep(wait_seconds)
            await self._connection.say(text)
            self._outbox.task_done()

    async def _watch_idle(self) -> None:
        timeout = self._simulator.idle_timeout_seconds
        while True:
            left_seconds = self._heard_at + timeout - self._loop.time()
            if left_seconds <= 0:
                break
            await asyncio.sleep(left_seconds)
        if not self._connection.silent:
            self._violate(f"nothing for {timeout:g} s (NET-0001)")
            await self._connection.close(1011, _IDLE_REASON)
