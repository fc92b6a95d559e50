"""ElevenLabs' realtime speech-to-text (Scribe), with the client's commits.

Shapes as in ElevenLabs' documentation and Pipecat 1.14's client.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from simulators.base import names, new_id
from simulators.connection import Connection
from simulators.elevenlabs.models import FORMATS, STT_LANGUAGES
from simulators.energy import BYTES_PER_SAMPLE, Endpointer

_QUERY: Final = names(
    "model_id language_code audio_format commit_strategy include_timestamps"
    " include_language_detection enable_logging keyterms no_verbatim filter_background_audio"
)
_CHUNK: Final = names("message_type audio_base_64 commit sample_rate")
_PARTIAL_MS: Final = 240.0
#: A commit of less is refused.
_SHORTEST_COMMIT_MS: Final = 300.0
_MS_PER_WORD: Final = 300.0


@dataclass(frozen=True, slots=True)
class ListenQuery:
    """A valid query."""

    language: str | None
    encoding: str
    rate_hz: int
    with_words: bool


def parse_listen_query(query: Sequence[tuple[str, str]]) -> ListenQuery:
    """Check a query as ElevenLabs does.

    Raises:
        ValueError: What is wrong with it.
    """
    single: Mapping[str, str] = dict(query)
    if unknown := set(single) - _QUERY:
        raise ValueError(f"unknown parameters {sorted(unknown)}")
    if single.get("model_id") != "scribe_v2_realtime":
        raise ValueError(f"unknown model {single.get('model_id')}")
    language = single.get("language_code")
    if language is not None and language not in STT_LANGUAGES:
        raise ValueError(f"unknown language {language}")
    if single.get("commit_strategy", "manual") != "manual":
        raise ValueError("this simulator knows only manual commits")
    audio_format = single.get("audio_format", "pcm_16000")
    if audio_format not in FORMATS:
        raise ValueError(f"unknown audio format {audio_format}")
    encoding, rate_hz = FORMATS[audio_format]
    detects = ("include_timestamps", "include_language_detection")
    with_words = any(single.get(name) == "true" for name in detects)
    names_of = {"pcm_s16le": "linear16", "pcm_mulaw": "mulaw"}
    return ListenQuery(language, names_of[encoding], rate_hz, with_words)


class ListenSession:
    """One client.

    Args:
        connection: Over which it goes.
        query: What the client asked for.
        text_of: The text of the n-th stretch of speech on this connection.
        violate: Told what no correct client would have sent.
    """

    def __init__(
        self,
        connection: Connection,
        query: ListenQuery,
        *,
        text_of: Callable[[int], str],
        violate: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._query = query
        self._text_of = text_of
        self._violate = violate
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        """What was heard so far is committed."""
        self._heard_ms = 0.0
        self._has_speech = False
        self._next_partial_ms = _PARTIAL_MS
        self._ear = Endpointer(
            rate_hz=self._query.rate_hz,
            encoding=self._query.encoding,
            silence_ms=float("inf"),
        )

    async def run(self, websocket: web.WebSocketResponse) -> None:
        """Listen until either side closes."""
        await self._say("session_started", session_id=new_id(), config={})
        async for message in websocket:
            if self._connection.is_deaf:
                await self._connection.lie_low()
            if message.type is not WSMsgType.TEXT:
                await self._refuse("a binary frame")
                continue
            self._connection.read(message.data)
            await self._take(message.data)

    async def _take(self, text: str) -> None:
        try:
            body: Any = msgspec.json.decode(text)
            audio = base64.b64decode(body["audio_base_64"], validate=True)
            right = body["message_type"] == "input_audio_chunk" and set(body) <= _CHUNK
        except (msgspec.DecodeError, binascii.Error, KeyError, TypeError) as error:
            await self._refuse(f"no chunk of audio: {error}")
            return
        if not right or body.get("sample_rate", self._query.rate_hz) != self._query.rate_hz:
            await self._refuse(f"keys {sorted(body)}, sample rate {body.get('sample_rate')}")
            return
        if len(audio) % BYTES_PER_SAMPLE[self._query.encoding]:
            await self._refuse("half a sample")
            return
        await self._hear(audio)
        if body.get("commit"):
            await self._commit()

    async def _hear(self, audio: bytes) -> None:
        if not audio:
            return
        self._connection.hear(audio)
        if self._connection.due_error():
            await self._say("transcriber_error", error="The transcriber failed.")
        size = self._query.rate_hz * BYTES_PER_SAMPLE[self._query.encoding]
        self._heard_ms += len(audio) * 1000 / size
        self._ear.feed(audio)
        self._has_speech = self._has_speech or self._ear.speaking
        if self._has_speech and self._heard_ms >= self._next_partial_ms:
            self._next_partial_ms = self._heard_ms + _PARTIAL_MS
            words = self._text().split()[: 1 + int(self._heard_ms / _MS_PER_WORD)]
            if words:
                await self._say("partial_transcript", text=" ".join(words))

    async def _commit(self) -> None:
        if self._heard_ms < _SHORTEST_COMMIT_MS:
            await self._say("commit_throttled", error="Less than 0.3 s to commit.")
            return
        text = self._text() if self._has_speech else ""
        self._number += self._has_speech
        step = self._heard_ms / 1000 / max(1, len(text.split()))
        self._begin()
        await self._say("committed_transcript", text=text)
        if self._query.with_words:
            words = [
                {"text": word, "start": round(i * step, 3), "end": round((i + 1) * step, 3)}
                | {"type": "word", "speaker_id": None, "logprob": -0.1}
                for i, word in enumerate(text.split())
            ]
            await self._say(
                "committed_transcript_with_timestamps",
                text=text,
                language_code=self._query.language or "hin",
                words=words,
            )

    def _text(self) -> str:
        return "" if self._connection.behaviour.empty else self._text_of(self._number)

    async def _refuse(self, text: str) -> None:
        self._violate(f"connection {self._connection.index}: {text}")
        await self._say("input_error", error=text)

    async def _say(self, kind: str, **more: Any) -> None:
        await self._connection.say(msgspec.json.encode({"message_type": kind, **more}).decode())
