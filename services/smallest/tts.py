"""Smallest AI text-to-speech through Pipecat's own streaming service.

Wire facts (docs.smallest.ai, Waves, ``/waves/v1/tts/live``): every message holds the whole
request; ``continue`` true keeps its text until more comes or ``max_buffer_delay_ms`` is over. A
socket without messages is closed after 60 s, for which Pipecat sends a blank text every 30 s. One
page says that the server closes the connection after ``complete``, another that it stays open:
both are borne.
"""

from typing import Any

from pipecat.frames.frames import TTSStoppedFrame
from pipecat.services.smallest.tts import SmallestTTSService
from pipecat.services.websocket_service import ReportErrorCallback

from services.connections.sockets import SpeakingSocketFailures
from services.context import ServiceContext
from services.failures import Failures
from services.smallest import SmallestTTSOptions
from services.smallest.addresses import socket_address

FAILURES = Failures("smallest", "Smallest AI")
#: Pipecat's choice.
DEFAULT_VOICES = {"lightning_v3.1_pro": "meher", "lightning_v3.1": "sophia"}
_MAX_CHARS = 200
_KINDS = {
    "UNAUTHORIZED": "auth",
    "FORBIDDEN": "auth",
    "RATE_LIMIT_EXCEEDED": "busy",
    "CONCURRENCY_LIMIT_EXCEEDED": "busy",
    "INVALID_REQUEST": "refused",
    "VALIDATION_ERROR": "refused",
}


class PromptSmallestTTSService(SpeakingSocketFailures, SmallestTTSService):
    """Pipecat's service, which tells of each failure, and of the end of what it speaks.

    Pipecat closes a turn's audio 3 s after its last piece; here ``complete`` does.
    """

    failures = FAILURES
    _is_complete = False

    def check(self, message: dict[str, Any]) -> None:
        """Let Smallest's errors end the listening."""
        status = message.get("status")
        if status == "error":
            raise self._failure(*failure_in(message))
        if not isinstance(status, str):
            raise self._failure("failed", "what came is no message")
        self._is_complete = status == "complete"

    async def handled(self) -> None:
        """After ``complete`` the turn's audio ends, if its text has."""
        spoken = self.get_active_audio_context_id()
        if self._is_complete and spoken and spoken != self._turn_context_id:
            await self.append_to_audio_context(spoken, TTSStoppedFrame(context_id=spoken))
            await self.remove_audio_context(spoken)

    async def _maybe_try_reconnect(
        self,
        error_message: str,
        report_error: ReportErrorCallback,
        error: Exception | None = None,
    ) -> bool:
        if error is None and self._is_complete and not self._disconnecting:
            # Closed politely with nothing left to say: no failure.
            self._is_complete = False
            self._websocket = None
            await self._connect_websocket()  # type: ignore[no-untyped-call]
            return self._websocket is not None
        return await super()._maybe_try_reconnect(error_message, report_error, error)


def failure_in(message: dict[str, Any]) -> tuple[str, str]:
    """The kind of failure that an error message tells of, and its words."""
    told = message.get("error")
    told = told if isinstance(told, dict) else {"message": told or message.get("message")}
    words = str(told.get("message") or told.get("code") or "an error")[:_MAX_CHARS]
    return _KINDS.get(str(told.get("code")), "failed"), words


def build_tts(options: SmallestTTSOptions, context: ServiceContext) -> SmallestTTSService:
    """A streaming synthesiser for one call, at the line's own rate.

    Raises:
        ConfigError: The address is none.
    """
    settings: dict[str, Any] = {
        "model": options.model,
        "language": context.vendor_language,
        "speed": options.speed,
        "voice": options.voice or DEFAULT_VOICES[options.model],
    }
    return PromptSmallestTTSService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        base_url=socket_address(context.base_url),
        sample_rate=context.rate_hz,
        # With it, what is said in a voice without word times would never reach the context.
        word_timestamps=False,
        max_buffer_delay_ms=options.max_buffer_delay_ms,
        reconnect_on_error=False,
        settings=SmallestTTSService.Settings(**settings),
    )
