"""Sarvam text-to-speech through Pipecat's own streaming service.

Wire facts: docs.sarvam.ai, text-to-speech stream. A socket without messages is closed after a
minute; Pipecat sends a ``ping`` every 20 s.
"""

from typing import Any

from pipecat.services.sarvam.tts import SarvamTTSService

from services.connections.sockets import SpeakingSocketFailures
from services.context import ServiceContext
from services.sarvam import SarvamTTSOptions
from services.sarvam.addresses import TTS_PATH, socket_address
from services.sarvam.failures import FAILURES, kind_of, words_of

#: Sarvam holds fewer characters back until more come or the turn ends; the least that it takes.
MIN_BUFFER_CHARACTERS = 30


class PromptSarvamTTSService(SpeakingSocketFailures, SarvamTTSService):
    """Pipecat's service, which tells of each failure at once and with its cause.

    Pipecat loses the code of Sarvam's errors, and drops text for a lost connection in silence.
    """

    failures = FAILURES

    def check(self, message: dict[str, Any]) -> None:
        """Let Sarvam's errors end the listening."""
        if message.get("type") == "error":
            data = message.get("data")
            told = data if isinstance(data, dict) else message
            raise self._failure(kind_of(told), words_of(told))


def build_tts(options: SarvamTTSOptions, context: ServiceContext) -> SarvamTTSService:
    """A streaming synthesiser for one call, at the line's own rate.

    Raises:
        ConfigError: The address is none.
    """
    given: dict[str, Any] = {
        "model": options.model,
        "language": context.vendor_language,
        "voice": options.voice,
        "pace": options.pace,
        "temperature": options.temperature,
        "pitch": options.pitch,
        "loudness": options.loudness,
        "min_buffer_size": MIN_BUFFER_CHARACTERS,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    return PromptSarvamTTSService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        url=websocket_url(context.base_url),
        # Without it, 24 kHz whatever the pipeline's rate.
        sample_rate=context.rate_hz,
        reconnect_on_error=False,
        settings=SarvamTTSService.Settings(**settings),
    )


def websocket_url(base_url: str | None) -> str:
    """The synthesis socket below an HTTP or WebSocket address.

    >>> websocket_url("http://127.0.0.1:9000/")
    'ws://127.0.0.1:9000/text-to-speech/ws'

    Raises:
        ConfigError: It is no address.
    """
    return socket_address(base_url, "tts", TTS_PATH)
