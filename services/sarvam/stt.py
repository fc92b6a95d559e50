"""Sarvam speech-to-text over the realtime interface.

Wire facts (docs.sarvam.ai, speech-to-text realtime; Pipecat 1.14): with ``endpointing=manual``
an utterance is what lies between ``speech_start`` and ``speech_end``, and the second has its
text written at once. With Sarvam's own endpointing the text would wait for a silence on top of
the one that our voice activity has waited for already.
"""

from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import (
    Frame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from services.connections.sockets import SocketFailures
from services.context import ServiceContext
from services.offline.frames import UnrecognizedSpeechFrame
from services.sarvam import SarvamSTTOptions
from services.sarvam.addresses import STT_PATH, socket_address
from services.sarvam.failures import FAILURES, kind_of, words_of
from services.sarvam.package import SarvamRealtimeSTTService

#: Voice activity tells of speech about 200 ms after it began.
PREROLL_MS = 400
#: Sarvam closes a socket that says nothing for about a minute.
PING_SECONDS = 20


class PromptSarvamSTTService(SocketFailures, SarvamRealtimeSTTService):
    """Pipecat's service, which sends what voice activity takes for speech, and a bit before.

    Pipecat sends all audio, and ``speech_start`` when voice activity is sure, by when the first
    syllable has gone by: nothing says that Sarvam keeps it. Silence is not sent at all; pings
    keep the connection. An error of the server's, or anything that cannot be read, ends the
    listening. An utterance of which nothing was understood ends its turn at once.
    """

    failures = FAILURES
    #: Longest wait for ``session.begin``; Pipecat's is 10 s.
    _CONNECTION_TIMEOUT = 5.0

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._before = bytearray()
        self._unsent_bytes = 0

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send a piece of speech, or keep a piece of silence for a moment."""
        if self._manual_turn_open:
            async for frame in super().run_stt(audio):
                yield frame
            return
        self._before += audio
        del self._before[
            : max(0, len(self._before) - self._bytes_per_second() * PREROLL_MS // 1000)
        ]
        self._unsent_bytes += len(audio)
        if self._unsent_bytes >= PING_SECONDS * self._bytes_per_second():
            self._unsent_bytes = 0
            await self._send_json({"event": "ping"})
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins; see the class."""
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._audio_buffer.extend(self._before)
            self._before.clear()
            self._unsent_bytes = 0

    async def _process_message(self, message: str | bytes) -> None:
        self.checked(message)
        await super()._process_message(message)

    def check(self, message: dict[str, Any]) -> None:
        """Let Sarvam's errors end the listening."""
        if message.get("event") == "error":
            raise self._failure(kind_of(message), words_of(message))
        if not isinstance(message.get("event"), str):
            raise self._failure("failed", "what came is no message")

    async def _handle_final_transcript(self, message: dict[str, Any]) -> None:
        await super()._handle_final_transcript(message)
        if not (message.get("text") or "").strip() and not self._manual_turn_open:
            await self.push_frame(UnrecognizedSpeechFrame())


def build_stt(options: SarvamSTTOptions, context: ServiceContext) -> SarvamRealtimeSTTService:
    """A recogniser for one call, at the line's own rate.

    Raises:
        ConfigError: The address is none.
    """
    language = context.vendor_language
    return PromptSarvamSTTService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        base_url=socket_address(context.base_url, "stt", STT_PATH),
        endpointing="manual",
        sample_rate=context.rate_hz,
        keyterms=list(options.keyterms) or None,
        audio_passthrough=False,
        reconnect_on_error=False,
        # For lines that send nothing at all while nobody speaks.
        keepalive_timeout=PING_SECONDS,
        settings=SarvamRealtimeSTTService.Settings(
            model=options.model,
            language=None if language == "auto" else language,
            stream_type=options.stream_type,
            mode=options.mode,
            prompt=options.prompt,
        ),
    )
