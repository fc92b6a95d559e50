"""Deepgram's turn-taking speech-to-text, ``/v2/listen`` (Flux).

Shapes as in Deepgram's SDK 7.17 and its documentation of Flux.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators.base import names, new_id
from simulators.connection import Connection
from simulators.deepgram.messages import to_json
from simulators.deepgram.query import BadRequest
from simulators.deepgram.script import Heard, Utterance
from simulators.energy import BYTES_PER_SAMPLE, ENCODINGS, Endpointer, SpeechEnded, SpeechStarted

_SINGLE: Final = names(
    "model encoding sample_rate eot_threshold eager_eot_threshold eot_timeout_ms numerals"
    " profanity_filter mip_opt_out redact"
)
_REPEATABLE: Final = names("keyterm language_hint tag")
_MODELS: Final = names("flux-general-en flux-general-multi")
_LANGUAGES: Final = names("de en es fr hi it ja nl pt ru")
_MESSAGES: Final = {
    "CloseStream": names("type"),
    "ForceEndTurn": names("type"),
    "Configure": names("type thresholds keyterms language_hints numerals profanity_filter"),
}
_UPDATE_MS: Final = 240.0
#: Pause after which Flux is sure enough that the caller has finished.
_PAUSE_MS: Final = 700.0


@dataclass(frozen=True, slots=True)
class FluxQuery:
    """A valid query."""

    model: str
    encoding: str
    sample_rate_hz: int
    language_hints: tuple[str, ...]


def parse_flux_query(query: Sequence[tuple[str, str]]) -> FluxQuery:
    """Check a query as Deepgram does.

    Raises:
        BadRequest: What is wrong with it.
    """
    single: dict[str, str] = {}
    for name, value in query:
        if name not in _SINGLE and name not in _REPEATABLE:
            raise BadRequest(f"Unknown query parameter: {name}")
        if name in _SINGLE and name in single:
            raise BadRequest(f"Query parameter given more than once: {name}")
        single[name] = value
    hints = tuple(value for name, value in query if name == "language_hint")
    model, encoding = single.get("model", ""), single.get("encoding", "")
    rate = single.get("sample_rate", "")
    if model not in _MODELS:
        raise BadRequest(f"Unknown model: {model}")
    if hints and (model != "flux-general-multi" or set(hints) - _LANGUAGES):
        raise BadRequest(f"Invalid language hints for {model}: {', '.join(hints)}")
    if encoding not in ENCODINGS:
        raise BadRequest(f"Invalid encoding: {encoding}")
    if not rate.isdigit() or not 8000 <= int(rate) <= 48000:
        raise BadRequest(f"Invalid sample rate: {rate}")
    for name, low, high in (
        ("eot_threshold", 0.5, 1.0),
        ("eager_eot_threshold", 0.3, 0.9),
        ("eot_timeout_ms", 500, 60_000),
    ):
        if name in single and not low <= float(single[name]) <= high:
            raise BadRequest(f"{name} must be from {low} to {high}")
    return FluxQuery(model, encoding, int(rate), hints)


class FluxSession:
    """One client on ``/v2/listen``.

    Args:
        connection: Over which it goes.
        query: What the client asked for.
        recognise: The scripted utterance for speech that was heard.
        violate: Told what no correct client would have sent.
    """

    def __init__(
        self,
        connection: Connection,
        query: FluxQuery,
        *,
        recognise: Callable[[Heard], Utterance],
        violate: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._query = query
        self._recognise = recognise
        self._violate = violate
        self._request_id = new_id()
        self._sequence = 0
        self._turn = 0
        self._next_update_ms = 0.0
        self._outbox: asyncio.Queue[str] = asyncio.Queue(10_000)
        self._ear = Endpointer(
            rate_hz=query.sample_rate_hz, encoding=query.encoding, silence_ms=_PAUSE_MS
        )

    async def run(self, websocket: web.WebSocketResponse) -> None:
        """Listen until either side closes."""
        sender = asyncio.create_task(self._send_outbox())
        self._say(type="Connected", request_id=self._request_id)
        try:
            async for message in websocket:
                if self._connection.is_deaf:
                    await self._connection.lie_low()
                if message.type is WSMsgType.BINARY:
                    self._hear(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._control(message.data)
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender

    def _hear(self, audio: bytes) -> None:
        if not audio or len(audio) % BYTES_PER_SAMPLE[self._query.encoding]:
            self._note(f"{len(audio)} bytes of {self._query.encoding}")
            self._fail("UNPARSABLE_CLIENT_MESSAGE", "The payload cannot be decoded as audio.")
            return
        self._connection.hear(audio)
        if self._connection.due_error():
            self._fail("INTERNAL_SERVER_ERROR", "The stream failed.")
        for event in self._ear.feed(audio):
            if isinstance(event, SpeechStarted):
                self._next_update_ms = event.at_ms + _UPDATE_MS
                self._tell("StartOfTurn", "", event.at_ms)
            else:
                self._end(event, "model")
        if self._ear.speaking and self._ear.position_ms >= self._next_update_ms:
            self._next_update_ms = self._ear.position_ms + _UPDATE_MS
            self._tell("Update", self._text_so_far(), self._ear.started_ms)

    async def _control(self, text: str) -> None:
        self._connection.read(text)
        try:
            message: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in _MESSAGES or set(message) - _MESSAGES[kind]:
            self._note(f"message {text[:80]!r}")
            self._fail("UNPARSABLE_CLIENT_MESSAGE", "Unknown message.")
        elif kind == "ForceEndTurn":
            self._force_end()
        elif kind == "Configure":
            self._say(type="ConfigureSuccess", request_id=self._request_id)
        else:
            self._force_end()
            await self._outbox.join()
            if not self._connection.silent:
                await self._connection.close(1000)

    def _force_end(self) -> None:
        """End the turn in progress; where nobody speaks, nothing is said."""
        for event in self._ear.finish():
            if isinstance(event, SpeechEnded):
                self._end(event, "manual")

    def _heard(self, start_ms: float, end_ms: float) -> Utterance:
        heard = Heard(self._connection.index, self._turn, start_ms, end_ms - start_ms, b"")
        return Utterance("") if self._connection.behaviour.empty else self._recognise(heard)

    def _text_so_far(self) -> str:
        started_ms, now_ms = self._ear.started_ms, self._ear.position_ms
        return self._heard(started_ms, now_ms).interim(now_ms - started_ms, 0)

    def _end(self, event: SpeechEnded, trigger: str) -> None:
        text = self._heard(event.start_ms, event.end_ms).text
        self._tell("EndOfTurn", text, event.start_ms, trigger=trigger)
        self._turn += 1

    def _tell(self, event: str, transcript: str, start_ms: float, **more: Any) -> None:
        utterance = self._heard(start_ms, self._ear.position_ms)
        spoken = transcript.split()
        step = (self._ear.position_ms - start_ms) / 1000 / max(1, len(spoken))
        words = [
            {
                "word": word,
                "confidence": utterance.confidence,
                "start": round(start_ms / 1000 + number * step, 3),
                "end": round(start_ms / 1000 + (number + 1) * step, 3),
            }
            for number, word in enumerate(spoken)
        ]
        if self._query.model == "flux-general-multi":
            more["languages"] = [utterance.language] if transcript else []
        self._say(
            type="TurnInfo",
            request_id=self._request_id,
            event=event,
            turn_index=self._turn,
            audio_window_start=round(start_ms / 1000, 3),
            audio_window_end=round(self._ear.position_ms / 1000, 3),
            transcript=transcript,
            words=words,
            end_of_turn_confidence=0.9 if event == "EndOfTurn" else 0.2,
            **more,
        )

    def _fail(self, code: str, description: str) -> None:
        self._say(type="Error", code=code, description=description)

    def _note(self, text: str) -> None:
        self._violate(f"connection {self._connection.index}: {text}")

    def _say(self, **message: Any) -> None:
        self._outbox.put_nowait(to_json({**message, "sequence_id": self._sequence}))
        self._sequence += 1

    async def _send_outbox(self) -> None:
        while True:
            text = await self._outbox.get()
            await self._connection.say(text)
            self._outbox.task_done()
