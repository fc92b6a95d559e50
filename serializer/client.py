"""Our own protocol for client programs; its specification is ``docs/client-protocol.md``."""

import time
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any, Final, Literal, get_args

import msgspec

from config.errors import WireError
from serializer.base import BaseDialect, Role, StatusName
from serializer.codecs import MULAW_8K, PCM_8K, PCM_16K, PCM_24K, AudioFormat
from serializer.messages import (
    AuthRequest,
    Control,
    ControlAction,
    Dtmf,
    Ignored,
    LanguageChoice,
    Media,
    Message,
    Ping,
    TextInput,
)
from serializer.ordering import PacketOrder
from serializer.reading import check_size, read_json, refuse_repeated_keys

#: The audio formats a client may ask for, by name.
CLIENT_FORMATS: Final[dict[str, AudioFormat]] = {
    "pcm_8k": PCM_8K,
    "pcm_16k": PCM_16K,
    "pcm_24k": PCM_24K,
    "mulaw_8k": MULAW_8K,
}
DEFAULT_FORMAT: Final = "pcm_16k"

ClientErrorCode = Literal[
    "agent_unknown",
    "agent_unusable",
    "auth_expired",
    "auth_invalid",
    "auth_timeout",
    "draining",
    "format_unsupported",
    "internal",
    "message_invalid",
    "message_too_large",
    "provider_failed",
    "server_full",
    "too_many_errors",
]

#: With which code the socket is closed after each error; None where the session goes on.
CLOSE_CODES: Final[dict[ClientErrorCode, int | None]] = {
    "auth_timeout": 1008,
    "auth_invalid": 1008,
    "auth_expired": 1008,
    "agent_unknown": 1008,
    "agent_unusable": 1011,
    "format_unsupported": 1008,
    "message_invalid": None,
    "message_too_large": None,
    "too_many_errors": 1008,
    "server_full": 1013,
    "draining": 1013,
    "provider_failed": 1011,
    "internal": 1011,
}

#: Types by which a first message is known to be a client's.
CLIENT_TYPES: Final = frozenset({"auth", "audio", "control", "text", "dtmf", "ping"})

_ACTIONS: Final[dict[str, ControlAction]] = {name: name for name in get_args(ControlAction)}
_KEYS: Final = frozenset("0123456789*#ABCD")
_LONGEST_TOKEN: Final = 8192
_LONGEST_AGENT_ID: Final = 64
_LONGEST_TEXT: Final = 4000
_LONGEST_LANGUAGE: Final = 64


class _ClientMessage(msgspec.Struct, gc=False):
    type: str
    session_id: str | None = None
    sequence: int | None = None
    format: str | None = None
    data: bytes | None = None
    timestamp: int | float | None = None
    token: str | None = None
    agent_id: str | None = None
    binary: bool = False
    action: str | None = None
    text: str | None = None
    digit: str | None = None
    language: str | None = None


_DECODER: Final = msgspec.json.Decoder(_ClientMessage)
_ENCODER: Final = msgspec.json.Encoder()


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class ClientDialect(BaseDialect):
    """One client's socket; see :class:`serializer.base.Dialect` for the contract.

    Args:
        now_ms: Milliseconds since 1970, for the ``timestamp`` of what is sent.
    """

    name = "client"

    def __init__(self, now_ms: Callable[[], int] = _wall_clock_ms) -> None:
        super().__init__()
        self._now_ms = now_ms
        self._order = PacketOrder()
        self._session_id: str | None = None
        self._format_name = ""
        self._binary = False
        self._sequence = 0
        self._audio_prefix = ""

    def decode(self, data: str | bytes) -> Message:
        """See :class:`serializer.base.Dialect`; a binary frame is audio once auth was read."""
        if isinstance(data, bytes) and self._input_format:
            return self._binary_audio(data)
        message = read_json(_DECODER, data)
        if message.type != "auth" and not self._format_name:
            raise WireError("auth_invalid", "the first message must be auth")
        if message.session_id is not None:
            self._check_session(message.session_id)
        if message.type == "audio":
            return self._audio(message)
        refuse_repeated_keys(data)
        return self._rarely(message)

    def audio(self, payload: bytes) -> str | bytes:
        """See :class:`serializer.base.Dialect`; bytes if the client asked for binary frames."""
        if not self._audio_prefix:
            raise WireError("not_started", "no audio may be sent before ready")
        self._sequence += 1
        if self._binary:
            return payload
        encoded = b2a_base64(payload, newline=False).decode("ascii")
        return (
            f'{self._audio_prefix}{self._sequence},"timestamp":{self._now_ms()},'
            f'"data":"{encoded}"}}'
        )

    def ready(self, session_id: str) -> str | None:
        """See :class:`serializer.base.Dialect`."""
        self._session_id = session_id
        self._audio_prefix = (
            f'{{"type":"audio","session_id":{_ENCODER.encode(session_id).decode()},'
            f'"format":"{self._format_name}","sequence":'
        )
        return self._say(
            "ready",
            format=self._format_name,
            formats=list(CLIENT_FORMATS),
            binary=self._binary,
        )

    def interrupted(self) -> str | None:
        """See :class:`serializer.base.Dialect`."""
        return self._say("interrupted")

    def transcript(self, role: Role, text: str, final: bool) -> str | None:
        """See :class:`serializer.base.Dialect`."""
        return self._say("transcript", role=role, text=_well_formed(text), final=final)

    def status(self, state: StatusName) -> str | None:
        """See :class:`serializer.base.Dialect`."""
        return self._say("status", state=state)

    def metrics(
        self,
        turn: int,
        *,
        response_ms: float | None = None,
        stt_ms: float | None = None,
        llm_ms: float | None = None,
        tts_ms: float | None = None,
    ) -> str | None:
        """See :class:`serializer.base.Dialect`."""
        return self._say(
            "metrics",
            turn=turn,
            response_ms=_tenths(response_ms),
            stt_ms=_tenths(stt_ms),
            llm_ms=_tenths(llm_ms),
            tts_ms=_tenths(tts_ms),
        )

    def error(self, code: str, message: str, fatal: bool) -> str | None:
        """See :class:`serializer.base.Dialect`; a code that is not the client's is internal."""
        if code not in CLOSE_CODES:
            code = "message_invalid" if not fatal else "internal"
        return self._say("error", code=code, message=_well_formed(message), fatal=fatal)

    def language(self, language: str) -> str | None:
        """See :class:`serializer.base.Dialect`."""
        return self._say("language", language=language)

    def pong(self) -> str | None:
        """See :class:`serializer.base.Dialect`."""
        return self._say("pong")

    def _say(self, kind: str, **members: Any) -> str:
        message = {
            "type": kind,
            "session_id": self._session_id,
            "timestamp": self._now_ms(),
            **members,
        }
        return _ENCODER.encode(message).decode()

    def _check_session(self, session_id: str) -> None:
        if self._session_id is not None and session_id != self._session_id:
            raise WireError("message_invalid", "session_id is not the one of this session")

    def _binary_audio(self, data: bytes) -> Media | Ignored:
        check_size(data)
        payload = self._whole_samples(data)
        return Media(payload) if payload else self._ignore("empty_media")

    def _audio(self, message: _ClientMessage) -> Media | Ignored:
        if message.format is not None and message.format != self._format_name:
            raise WireError("message_invalid", f"audio of this session is {self._format_name}")
        if not message.data:
            return self._ignore("empty_media")
        if self._order.is_old(message.sequence):
            return self._ignore("stale_media")
        payload = self._whole_samples(message.data)
        if not payload:
            return self._ignore("empty_media")
        timestamp_ms = None if message.timestamp is None else int(message.timestamp)
        return Media(payload, message.sequence, timestamp_ms)

    def _rarely(self, message: _ClientMessage) -> Message:
        match message.type:
            case "auth":
                return self._auth(message)
            case "control" if message.action == "language":
                return LanguageChoice(_language(message.language))
            case "control":
                return Control(_action(message.action))
            case "text":
                return TextInput(_typed(message.text))
            case "dtmf":
                return Dtmf(_key(message.digit))
            case "ping":
                return Ping()
        return self._ignore("unknown_event")

    def _auth(self, message: _ClientMessage) -> AuthRequest:
        if self._format_name:
            raise WireError("message_invalid", "auth was sent before")
        if not message.token or len(message.token) > _LONGEST_TOKEN:
            raise WireError("auth_invalid", "auth needs a token of up to 8192 letters")
        if message.agent_id is not None and not 0 < len(message.agent_id) <= _LONGEST_AGENT_ID:
            raise WireError("agent_unknown", "agent_id has 1 to 64 letters")
        name = DEFAULT_FORMAT if message.format is None else message.format
        audio_format = CLIENT_FORMATS.get(name)
        if audio_format is None:
            raise WireError("format_unsupported", f"format is one of {', '.join(CLIENT_FORMATS)}")
        self._format_name, self._binary = name, message.binary
        self._input_format = self._output_format = audio_format
        return AuthRequest(
            token=message.token,
            agent_id=message.agent_id,
            format=audio_format,
            binary=message.binary,
        )


def _action(action: str | None) -> ControlAction:
    if action is None or action not in _ACTIONS:
        raise WireError("message_invalid", f"action is one of {', '.join(_ACTIONS)}, language")
    return _ACTIONS[action]


def _language(language: str | None) -> str:
    if not language or len(language) > _LONGEST_LANGUAGE:
        raise WireError("message_invalid", "action language needs the language")
    return language


def _typed(text: str | None) -> str:
    cleaned = "".join(c for c in text or "" if c.isprintable() or c in "\n\t\u200c\u200d").strip()
    if not cleaned or len(cleaned) > _LONGEST_TEXT:
        raise WireError("message_invalid", f"text has 1 to {_LONGEST_TEXT} letters")
    return cleaned


def _key(digit: str | None) -> str:
    key = (digit or "").upper()
    if key not in _KEYS:
        raise WireError("message_invalid", "dtmf needs one digit of 0-9, *, # or A-D")
    return key


def _tenths(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 1)


def _well_formed(text: str) -> str:
    """Text without lone surrogates, which no UTF-8 frame can carry."""
    return text if text.isascii() else text.encode(errors="replace").decode()
