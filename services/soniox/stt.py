"""Soniox speech-to-text through Pipecat's own service.

Wire facts (soniox.com/docs, real-time API): a message ``finalize`` makes everything heard so far
final, which ``<fin>`` confirms; errors come as ``error_code`` (an HTTP status) and
``error_message``, without tokens, before the connection closes.
"""

from typing import Any

from pipecat.services.soniox.stt import FINALIZED_TOKEN, SonioxContextObject, SonioxSTTService
from pipecat.transcriptions.language import Language

from config.errors import ConfigError
from services.connections.addresses import socket_root
from services.connections.sockets import SocketFailures, kind_of_status
from services.context import ServiceContext
from services.failures import Failures
from services.hearing.unheard import TellsUnheard
from services.soniox import SonioxSTTOptions

_PATH = "/transcribe-websocket"
_MAX_CHARS = 200


class PromptSonioxSTTService(TellsUnheard, SocketFailures, SonioxSTTService):
    """Pipecat's service, which tells of Soniox's errors, and of speech without words.

    Pipecat looks for tokens in every message first, and drops one that has none.
    """

    failures = Failures("soniox", "Soniox")
    _is_final = False

    def check(self, message: dict[str, Any]) -> None:
        """Let Soniox's errors, and what is no result, end the listening."""
        code, words = message.get("error_code"), message.get("error_message")
        if code or words:
            raise self._failure(kind_of_status(code), f"{code} {words}"[:_MAX_CHARS])
        tokens = message.get("tokens")
        if not isinstance(tokens, list) or not all(_is_token(token) for token in tokens):
            raise self._failure("failed", "what came is no result")
        self._is_final = any(token["text"] == FINALIZED_TOKEN for token in tokens)

    async def handled(self) -> None:
        """After ``<fin>`` nothing more comes of what was said."""
        if self._is_final:
            await self._unheard.final("", is_answer=True)


def _is_token(token: object) -> bool:
    return (
        isinstance(token, dict)
        and isinstance(token.get("text"), str)
        and isinstance(token.get("is_final"), bool)
    )


def build_stt(options: SonioxSTTOptions, context: ServiceContext) -> SonioxSTTService:
    """A recogniser for one call, whose texts are final as soon as a pause is noticed.

    Raises:
        ConfigError: The address is none, or a hint no language.
    """
    hinted = [
        *([context.vendor_language] if context.vendor_language else ()),
        *options.language_hints,
    ]
    hints = [_language(code) for code in hinted if code != "auto"]
    about = SonioxContextObject(text=options.context, terms=list(options.terms) or None)
    return PromptSonioxSTTService(
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        url=websocket_url(context.base_url),
        sample_rate=context.rate_hz,
        vad_force_turn_endpoint=True,
        audio_passthrough=False,
        reconnect_on_error=False,
        settings=SonioxSTTService.Settings(
            model=options.model,
            language_hints=hints or None,
            language_hints_strict=options.language_hints_strict if hints else None,
            context=about if options.context or options.terms else None,
        ),
    )


def _language(code: str) -> Language:
    try:
        return Language(code)
    except ValueError as error:
        raise ConfigError(f"stt.soniox.language_hints: {code!r} is no language code") from error


def websocket_url(base_url: str | None) -> str:
    """The transcription socket below an HTTP or WebSocket address.

    >>> websocket_url("http://127.0.0.1:9000/")
    'ws://127.0.0.1:9000/transcribe-websocket'

    Raises:
        ConfigError: It is no address.
    """
    return f"{socket_root('stt.soniox.base_url', base_url, _PATH)}{_PATH}"
