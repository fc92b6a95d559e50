"""Deepgram speech-to-text, Flux models, through Pipecat's own service."""

from typing import Any

from pipecat.frames.frames import (
    Frame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.flux.stt_base import FluxFatalError
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory

from config.errors import ConfigError
from services.connections.addresses import socket_root
from services.connections.sockets import CONNECT_SECONDS, SocketFailures
from services.context import ServiceContext
from services.deepgram import DeepgramFluxSTTOptions
from services.deepgram.failures import FAILURES
from services.hearing.unheard import Unheard

_PROPOSALS = (ProposedUserStartedSpeakingFrame, ProposedUserStoppedSpeakingFrame)


class FluxSTTService(SocketFailures, DeepgramFluxSTTService):
    """Flux as a recogniser only: who speaks when is for the call's own strategies to say.

    Pipecat's own service proposes the beginnings and ends of turns that Flux hears, takes an
    empty turn for a text, and connects again by itself.

    Args:
        force_end_of_turn: Whether Flux is to conclude when voice activity notices a pause.
        arguments: Of Pipecat's service.
    """

    failures = FAILURES
    _CONNECTION_TIMEOUT = CONNECT_SECONDS

    def __init__(self, *, force_end_of_turn: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        # Pipecat 1.14 has no argument for it in this class.
        self._reconnect_on_error = False
        self._force_end_of_turn = force_end_of_turn
        self._unheard = Unheard(self)

    async def connected(self) -> None:
        """Return when Flux has said that it listens."""
        await self._connection_established_event.wait()

    def service_metadata_frame(self) -> STTMetadataFrame:
        """Without turn strategies of its own."""
        frame = super().service_metadata_frame()
        frame.user_turn_strategies = None
        return frame

    async def broadcast_frame(self, frame_cls: type[Frame], **arguments: Any) -> None:
        """Anything but proposals of turns."""
        if frame_cls not in _PROPOSALS:
            await super().broadcast_frame(frame_cls, **arguments)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note where speech begins and ends."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._unheard.started()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._unheard.stopped()
            if self._user_is_speaking:
                await self._conclude_turn()

    async def _disconnect(self) -> None:
        self._unheard.forget()
        await super()._disconnect()  # type: ignore[no-untyped-call]

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        known = super()._classify_error(exception)
        fatal = isinstance(exception, FluxFatalError)
        return known or (ErrorCategory.SERVER if fatal else None)

    async def _conclude_turn(self) -> None:
        if self._force_end_of_turn and self._transport_is_active():
            try:
                await self._transport_send_json({"type": "ForceEndTurn"})
            except Exception as error:
                await self.push_error("Deepgram stt: the connection is gone", exception=error)

    async def _handle_start_of_turn(self, transcript: str) -> None:
        await super()._handle_start_of_turn(transcript)
        if self._unheard.awaited:
            await self._conclude_turn()

    async def _handle_end_of_turn(self, transcript: str, data: dict[str, Any]) -> None:
        if transcript.strip():
            await super()._handle_end_of_turn(transcript, data)
        else:
            self._user_is_speaking = False
            self._turn_transcript = ""
        await self._unheard.final(transcript.strip(), is_answer=True)

    async def _process_message(self, message: str | bytes) -> None:
        """One message; what is none ends the connection as any other failure does."""
        self.checked(message)
        self._unheard.alive()
        await super()._process_message(message)


def build_stt(options: DeepgramFluxSTTOptions, context: ServiceContext) -> FluxSTTService:
    """A streaming recogniser for one call; audio stops here.

    Raises:
        ConfigError: The address is none, or the model does not hear the language.
    """
    language = context.vendor_language or "en"
    model = options.model or ("flux-general-en" if language == "en" else "flux-general-multi")
    if model == "flux-general-en" and language != "en":
        raise ConfigError(f"stt.deepgram_flux.model: {model} does not hear {context.language}")
    hints = list(dict.fromkeys((language, *options.language_hints)))
    given: dict[str, Any] = {
        "eot_threshold": options.eot_threshold,
        "eot_timeout_ms": options.eot_timeout_ms,
        "numerals": options.numerals or None,
        "profanity_filter": options.profanity_filter or None,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    if model == "flux-general-multi":
        settings["language_hints"] = [Language(code) for code in hints]
    root = socket_root("stt.deepgram_flux.base_url", context.base_url, "/listen", "/v2", "/v1")
    return FluxSTTService(
        force_end_of_turn=options.force_end_of_turn,
        api_key=context.api_key.get_secret_value() if context.api_key else "",
        url=f"{root}/v2/listen",
        sample_rate=context.rate_hz,
        audio_passthrough=False,
        settings=DeepgramFluxSTTService.Settings(
            model=model, keyterm=list(options.keyterms), **settings
        ),
    )
