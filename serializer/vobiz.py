"""The media stream of Vobiz: JSON text frames, 20 ms of base64 audio each.

Facts are from Vobiz's public documentation and its reference applications; what is not known
for sure stands in ``docs/vobiz.md``. Reading is tolerant, writing is what the newest
documentation asks for. One socket carries one stream, so ids inside later messages are not
compared with those of ``start``.
"""

from binascii import b2a_base64
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

import msgspec

from config.errors import WireError
from config.sections import VobizSettings
from serializer.base import PACKET_MS, BaseDialect
from serializer.codecs import MULAW_8K, AudioFormat, ByteOrder, Encoding
from serializer.messages import (
    Dtmf,
    Ignored,
    Media,
    Message,
    PlaybackCleared,
    PlaybackReached,
    StreamStarted,
    StreamStopped,
)
from serializer.ordering import PacketOrder
from serializer.reading import read_json, refuse_repeated_keys, whole_number

#: Events by which a first message is known to be Vobiz's.
VOBIZ_EVENTS: Final = frozenset({"start", "media", "dtmf", "playedStream", "clearedAudio", "stop"})

_BYTE_ORDERS: Final[dict[Literal["big", "little"], ByteOrder]] = {"big": "be", "little": "le"}
_KEYS: Final = frozenset("0123456789*#ABCD")
_L16_RATES_HZ: Final = (8000, 16000, 24000)
_LONGEST_ID: Final = 128
_LONGEST_CUSTOM_VALUE: Final = 512
_NOT_GIVEN: Final = msgspec.Raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class VobizOptions:
    """What an operator decides about Vobiz streams.

    Attributes:
        l16_in_order: Byte order of ``audio/x-l16`` from Vobiz; its documentation says big-endian.
        l16_out_order: Byte order of ``audio/x-l16`` to Vobiz; documented as little-endian.
        assumed_format: The caller's audio, if ``start`` does not say. Its byte order is not
            looked at: ``l16_in_order`` counts.
        output_format: What we send; None sends the encoding and rate that come in. Its byte
            order is not looked at: ``l16_out_order`` counts.
    """

    l16_in_order: ByteOrder = "be"
    l16_out_order: ByteOrder = "le"
    assumed_format: AudioFormat = MULAW_8K
    output_format: AudioFormat | None = None

    @classmethod
    def from_settings(cls, settings: VobizSettings) -> Self:
        """The options that an operator's settings come to."""
        kind, _, rate = settings.content_type.partition(";rate=")
        encoding: Encoding = "mulaw" if kind == "audio/x-mulaw" else "pcm"
        return cls(
            l16_in_order=_BYTE_ORDERS[settings.l16_in_order],
            l16_out_order=_BYTE_ORDERS[settings.l16_out_order],
            assumed_format=AudioFormat(encoding, int(rate)),
        )

    def expected_formats(self) -> tuple[AudioFormat, AudioFormat]:
        """What a stream that keeps to our answer will carry, from the caller and to them."""
        outgoing = self.output_format or self.assumed_format
        return (
            _ordered(self.assumed_format, self.l16_in_order),
            _ordered(outgoing, self.l16_out_order),
        )


class _MediaBody(msgspec.Struct, gc=False):
    payload: bytes | None = None
    track: str | None = None
    chunk: int | float | str | None = None
    timestamp: int | float | str | None = None


class _Event(msgspec.Struct, rename="camel", gc=False):
    event: str
    sequence_number: int | float | str | None = None
    stream_id: str | None = None
    media: _MediaBody | None = None
    start: msgspec.Raw = _NOT_GIVEN
    dtmf: msgspec.Raw = _NOT_GIVEN
    stop: msgspec.Raw = _NOT_GIVEN
    digit: str | int | None = None
    name: str | None = None
    reason: str | None = None
    call_id: str | None = None
    extra_headers: msgspec.Raw = msgspec.field(default=_NOT_GIVEN, name="extra_headers")


class _MediaFormat(msgspec.Struct, rename="camel"):
    encoding: str | None = None
    sample_rate: int | float | str | None = None


class _StartBody(msgspec.Struct, rename="camel"):
    call_id: str | None = None
    stream_id: str | None = None
    account_id: str | int | None = None
    auth_id: str | None = msgspec.field(default=None, name="auth_id")
    media_format: _MediaFormat | None = None


_EVENT_DECODER: Final = msgspec.json.Decoder(_Event)
_START_DECODER: Final = msgspec.json.Decoder(_StartBody)
_ANY_DECODER: Final = msgspec.json.Decoder(Any)


class VobizDialect(BaseDialect):
    """One media socket of Vobiz; see :class:`serializer.base.Dialect` for the contract."""

    name = "vobiz"
    sends_acks = True

    def __init__(self, options: VobizOptions | None = None) -> None:
        super().__init__()
        self._options = options or VobizOptions()
        self._started: StreamStarted | None = None
        self._order = PacketOrder()
        self._packet_bytes = 0
        self._fill = b""
        self._audio_prefix = ""
        self._stream_member = ""

    def decode(self, data: str | bytes) -> Message:
        """See :class:`serializer.base.Dialect`; media before ``start`` is decoded as well."""
        event = read_json(_EVENT_DECODER, data)
        if event.event == "media":
            return self._media(event)
        refuse_repeated_keys(data)
        match event.event:
            case "start":
                return self._start(event)
            case "dtmf":
                return Dtmf(_key(event))
            case "playedStream":
                return PlaybackReached(_checkpoint_name(event.name))
            case "clearedAudio":
                return PlaybackCleared()
            case "stop":
                return StreamStopped(_stop_reason(event))
        return self._ignore("unknown_event")

    def audio(self, payload: bytes) -> str:
        """A ``playAudio`` of whole 20 ms packets; a shorter tail is filled with silence."""
        if not self._packet_bytes:
            raise WireError("not_started", "the stream has not started, no format is agreed")
        missing_bytes = -len(payload) % self._packet_bytes
        if missing_bytes:
            payload += self._fill[:missing_bytes]
        return f'{self._audio_prefix}{b2a_base64(payload, newline=False).decode("ascii")}"}}}}'

    def checkpoint(self, name: str) -> str | None:
        """See :class:`serializer.base.Dialect`. Void if the audio before it is cleared."""
        return f'{{"event":"checkpoint",{self._stream()},"name":{_quoted(name)}}}'

    def clear(self) -> str | None:
        """See :class:`serializer.base.Dialect`. New audio should wait for the answer."""
        return f'{{"event":"clearAudio",{self._stream()}}}'

    def stop(self) -> str | None:
        """See :class:`serializer.base.Dialect`. The socket closes at once."""
        return f'{{"event":"stop",{self._stream()}}}'

    def _stream(self) -> str:
        if not self._stream_member:
            raise WireError("not_started", "the stream has not started, it has no id yet")
        return self._stream_member

    def _media(self, event: _Event) -> Media | Ignored:
        body = event.media
        if body is None or not body.payload:
            return self._ignore("empty_media")
        if body.track is not None and body.track not in ("inbound", "inbound_track"):
            return self._ignore("other_track")
        sequence = whole_number(event.sequence_number)
        if self._order.is_old(sequence, whole_number(body.chunk)):
            return self._ignore("stale_media")
        payload = self._whole_samples(body.payload)
        if not payload:
            return self._ignore("empty_media")
        return Media(payload, sequence, whole_number(body.timestamp))

    def _start(self, event: _Event) -> StreamStarted | Ignored:
        started = self._read_start(event)
        if self._started is None:
            self._negotiate(started)
            return started
        if _same_stream(started, self._started):
            return self._ignore("duplicate_start")
        raise WireError("conflicting_start", "a second start names another stream or format")

    def _read_start(self, event: _Event) -> StreamStarted:
        body = read_json(_START_DECODER, bytes(event.start)) if event.start else _StartBody()
        stream_id = _identifier("streamId", body.stream_id or event.stream_id)
        if stream_id is None:
            raise WireError("start_invalid", "start has no streamId")
        account_id = body.auth_id if body.account_id is None else str(body.account_id)
        return StreamStarted(
            call_id=_identifier("callId", body.call_id or event.call_id),
            stream_id=stream_id,
            media=self._read_format(body.media_format),
            account_id=_identifier("accountId", account_id),
            custom=_custom(event.extra_headers),
        )

    def _read_format(self, offered: _MediaFormat | None) -> AudioFormat | None:
        """The caller's format; ``audio/x-l16;rate=16000`` is understood as well."""
        if offered is None or (offered.encoding is None and offered.sample_rate is None):
            return None
        assumed = self._options.assumed_format
        content_type, _, parameters = (offered.encoding or "").lower().partition(";")
        kind = content_type.strip().removeprefix("audio/").removeprefix("x-")
        if not kind:
            kind = "mulaw" if assumed.encoding == "mulaw" else "l16"
        rate_hz = whole_number(offered.sample_rate)
        if rate_hz is None:
            rate_hz = whole_number(parameters.strip().removeprefix("rate=")) or 8000
        if kind == "mulaw" and rate_hz == 8000:
            return MULAW_8K
        if kind == "l16" and rate_hz in _L16_RATES_HZ:
            return AudioFormat("pcm", rate_hz, self._options.l16_in_order)
        raise WireError(
            "format_unsupported",
            f"{content_type[:40]!r} at {str(offered.sample_rate)[:12]} Hz; understood are "
            "audio/x-mulaw at 8000 and audio/x-l16 at 8000, 16000 and 24000",
        )

    def _negotiate(self, started: StreamStarted) -> None:
        options = self._options
        incoming = started.media or options.expected_formats()[0]
        outgoing = _ordered(options.output_format or incoming, options.l16_out_order)
        self._started = started
        self._input_format, self._output_format = incoming, outgoing
        self._packet_bytes = outgoing.bytes_per_ms * PACKET_MS
        self._fill = outgoing.silence(PACKET_MS)
        self._stream_member = f'"streamId":{_quoted(started.stream_id)}'
        kind = "audio/x-mulaw" if outgoing.encoding == "mulaw" else "audio/x-l16"
        self._audio_prefix = (
            f'{{"event":"playAudio",{self._stream_member},"media":{{"contentType":"{kind}",'
            f'"sampleRate":{outgoing.rate_hz},"payload":"'
        )


def _same_stream(one: StreamStarted, other: StreamStarted) -> bool:
    return (one.call_id, one.stream_id, one.media) == (other.call_id, other.stream_id, other.media)


def _ordered(wire: AudioFormat, order: ByteOrder) -> AudioFormat:
    return wire if wire.encoding == "mulaw" else replace(wire, byte_order=order)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _identifier(field: str, value: str | None) -> str | None:
    """An id from outside, printable ASCII; None where there is none."""
    if not value:
        return None
    if len(value) > _LONGEST_ID or not value.isascii() or not value.isprintable():
        raise WireError("start_invalid", f"{field} is not up to {_LONGEST_ID} printable letters")
    return value


def _checkpoint_name(name: str | None) -> str:
    if not name or len(name) > _LONGEST_ID:
        raise WireError("message_invalid", "playedStream needs a name of up to 128 letters")
    return name


def _key(event: _Event) -> str:
    """The key pressed: ``dtmf.digit`` as Plivo writes it, or one of its plausible variations."""
    body = read_json(_ANY_DECODER, bytes(event.dtmf)) if event.dtmf else event.digit
    if isinstance(body, dict):
        body = body.get("digit", body.get("digits"))
    key = str(body).strip().upper() if isinstance(body, str | int) else ""
    if key not in _KEYS:
        raise WireError("message_invalid", "dtmf needs one digit of 0-9, *, # or A-D")
    return key


def _stop_reason(event: _Event) -> str | None:
    body = read_json(_ANY_DECODER, bytes(event.stop)) if event.stop else None
    reason = body.get("reason") if isinstance(body, dict) else body
    text = reason if isinstance(reason, str) else event.reason
    return "".join(filter(str.isprintable, text[:_LONGEST_ID])) if text else None


def _custom(raw: msgspec.Raw) -> dict[str, str]:
    """Extra headers: an object, or one written as a string; anything else counts as none."""
    if not raw:
        return {}
    try:
        headers = read_json(_ANY_DECODER, bytes(raw))
        if isinstance(headers, str):
            headers = read_json(_ANY_DECODER, headers or "{}")
    except WireError:
        return {}
    if not isinstance(headers, dict):
        return {}
    return {
        key: value[:_LONGEST_CUSTOM_VALUE]
        for key, value in headers.items()
        if isinstance(value, str) and len(key) <= _LONGEST_ID
    }
