"""ElevenLabs speech-to-text through Pipecat's own realtime service."""

import asyncio
import json
from typing import Any, Final

from pipecat.frames.frames import Frame, VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.elevenlabs.stt import CommitStrategy, ElevenLabsRealtimeSTTService

from services.connections.addresses import socket_root
from services.connections.sockets import SocketFailures
from services.context import ServiceContext
from services.elevenlabs import ElevenLabsSTTOptions
from services.elevenlabs.failures import FAILURES, kind_of
from services.hearing.unheard import Unheard

_TRANSCRIPTS: Final = {
    False: "committed_transcript",
    True: "committed_transcript_with_timestamps",
}
_KNOWN: Final = frozenset({"session_started", "partial_transcript", *_TRANSCRIPTS.values()})
_PIPECATS_HOST: Final = "api.elevenlabs.io"


class ElevenLabsSTTService(SocketFailures, ElevenLabsRealtimeSTTService):
    """Pipecat's service, which commits what was said when voice activity notices a pause.

    Pipecat's own speaks TLS only, so that no server of one's own or simulator can be reached,
    goes on after messages that it cannot read, and says nothing of speech without words.

    Args:
        root: Of ElevenLabs' WebSockets.
        arguments: Of Pipecat's service.
    """

    failures = FAILURES

    def __init__(self, *, root: str, **arguments: Any) -> None:
        super().__init__(
            base_url=_PIPECATS_HOST,
            commit_strategy=CommitStrategy.MANUAL,
            reconnect_on_error=False,
            **arguments,
        )
        self._root = root
        self._begun = asyncio.Event()
        self._unheard = Unheard(self)

    async def connected(self) -> None:
        """Return when ElevenLabs has said that it listens."""
        await self._begun.wait()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._unheard.started()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._unheard.stopped()

    async def _websocket_connect(self, uri: str, **arguments: Any) -> Any:
        path = uri.removeprefix(f"wss://{_PIPECATS_HOST}")
        return await super()._websocket_connect(f"{self._root}{path}", **arguments)

    async def _disconnect(self) -> None:
        self._unheard.forget()
        await super()._disconnect()  # type: ignore[no-untyped-call]

    async def _receive_messages(self) -> None:
        async for message in self._get_websocket():
            await self._take(json.loads(message))

    def check(self, message: dict[str, Any]) -> None:
        """Let ElevenLabs' errors end the listening."""
        kind = str(message.get("message_type"))
        if "error" in message and kind != "commit_throttled" and kind not in _KNOWN:
            raise self._failure(kind_of(kind), f"{kind}: {message['error']}")

    async def _take(self, message: dict[str, Any]) -> None:
        kind = str(message.get("message_type"))
        if kind == "session_started":
            self._begun.set()
        elif kind == "commit_throttled":
            # Too short a noise to be read.
            await self._unheard.final("", is_answer=True)
        elif kind in _KNOWN:
            await super()._process_response(message)
            if kind == _TRANSCRIPTS[self._include_timestamps]:
                text = str(message.get("text") or "").strip()
                await self._unheard.final(text, is_answer=True)


def build_stt(options: ElevenLabsSTTOptions, context: ServiceContext) -> ElevenLabsSTTService:
    """A streaming recogniser for one call; audio stops here.

    Raises:
        ConfigError: The address is none.
    """
    given: dict[str, Any] = {
        "no_verbatim": options.remove_fillers,
        "filter_background_audio": options.filter_background_audio,
        "keyterms": list(options.keyterms) or None,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    path = "/v1/speech-to-text/realtime"
    return ElevenLabsSTTService(
        root=socket_root("stt.elevenlabs.base_url", context.base_url, path, "/v1"),
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        sample_rate=context.rate_hz,
        audio_passthrough=False,
        include_timestamps=options.word_timestamps,
        settings=ElevenLabsRealtimeSTTService.Settings(
            model=options.model, language=context.vendor_language, **settings
        ),
    )
