"""Messages of the Vobiz media socket, as its documentation shows them.

What the application sends is checked strictly: a field that is not documented, a missing one
or one of the wrong type is a violation. It is then read the way the platform reads it, which
is liberally, so that the call can go on and show what comes next.
"""

import binascii
import json
from typing import Final

import msgspec

from simulators.caller.codec import PACKET_MS, ByteOrder, WireFormat, l16

PLAY_RATES_HZ: Final = {"audio/x-mulaw": (8000,), "audio/x-l16": (8000, 16000, 24000)}


class PlayMedia(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, gc=False):
    """Audio to play."""

    content_type: str
    sample_rate: int
    payload: str


class PlayAudio(
    msgspec.Struct,
    frozen=True,
    tag="playAudio",
    tag_field="event",
    rename="camel",
    forbid_unknown_fields=True,
):
    """Queue audio for the caller."""

    stream_id: str
    media: PlayMedia


class Checkpoint(
    msgspec.Struct,
    frozen=True,
    tag="checkpoint",
    tag_field="event",
    rename="camel",
    forbid_unknown_fields=True,
):
    """Report when everything queued so far has been heard."""

    stream_id: str
    name: str


class ClearAudio(
    msgspec.Struct,
    frozen=True,
    tag="clearAudio",
    tag_field="event",
    rename="camel",
    forbid_unknown_fields=True,
):
    """Drop everything queued."""

    stream_id: str


class Stop(
    msgspec.Struct,
    frozen=True,
    tag="stop",
    tag_field="event",
    rename="camel",
    forbid_unknown_fields=True,
):
    """End the stream at once."""

    stream_id: str


ApplicationMessage = PlayAudio | Checkpoint | ClearAudio | Stop

_strict = msgspec.json.Decoder(ApplicationMessage)
_EVENTS: Final = ("playAudio", "checkpoint", "clearAudio", "stop")


def read_message(data: bytes, stream_id: str) -> tuple[ApplicationMessage | None, str | None]:
    """Decode one text message of the application.

    Args:
        stream_id: Stands in for one that the message lacks.

    Returns:
        The message, or None where nothing can be made of it, and what is wrong with it.
    """
    try:
        return _strict.decode(data), None
    except msgspec.MsgspecError as error:
        problem = str(error)
    except UnicodeDecodeError:
        return None, "a text message is not UTF-8"
    try:
        loose = json.loads(data)
    except ValueError:
        return None, f"not JSON: {problem}"
    if not isinstance(loose, dict) or loose.get("event") not in _EVENTS:
        return None, f"not a message of this protocol: {problem}"
    event = loose["event"]
    loose.setdefault("streamId", stream_id)
    problem = f"{event}: {problem}"
    try:
        return _read_loosely(loose), problem
    except msgspec.MsgspecError:
        return None, problem


def _read_loosely(loose: dict[str, object]) -> ApplicationMessage:
    known = {key: loose[key] for key in ("event", "streamId", "media", "name") if key in loose}
    if known["event"] != "playAudio":
        known.pop("media", None)
    if known["event"] != "checkpoint":
        known.pop("name", None)
    media = known.get("media")
    if isinstance(media, dict):
        known["media"] = {
            key: media[key] for key in ("contentType", "sampleRate", "payload") if key in media
        }
    message: ApplicationMessage = msgspec.convert(known, ApplicationMessage, strict=False)
    return message


def playable(
    media: PlayMedia, l16_order: ByteOrder
) -> tuple[tuple[bytes, WireFormat] | None, list[str]]:
    """Check the audio of a ``playAudio``.

    Returns:
        Payload and format, or None where the platform could not play it, and what is wrong.
    """
    problems: list[str] = []
    content_type = media.content_type.partition(";")[0].strip()
    if content_type != media.content_type:
        problems.append(f"playAudio: contentType {media.content_type!r} carries parameters")
    rates = PLAY_RATES_HZ.get(content_type)
    if rates is None:
        return None, [*problems, f"playAudio: contentType {media.content_type!r} is unknown"]
    if media.sample_rate not in rates:
        return None, [*problems, f"playAudio: {content_type} at {media.sample_rate} Hz"]
    try:
        payload = binascii.a2b_base64(media.payload, strict_mode=True)
    except ValueError as error:
        return None, [*problems, f"playAudio: payload is not base64 ({error})"]
    wire_format = _format(content_type, media.sample_rate, l16_order)
    if not payload:
        return None, [*problems, "playAudio: payload is empty"]
    if len(payload) % wire_format.sample_bytes:
        return None, [*problems, f"playAudio: {len(payload)} bytes of 16-bit samples"]
    if len(payload) % wire_format.packet_bytes:
        problems.append(
            f"playAudio: {len(payload)} bytes are no multiple of {PACKET_MS} ms "
            f"({wire_format.packet_bytes} bytes)"
        )
    return (payload, wire_format), problems


def _format(content_type: str, rate_hz: int, order: ByteOrder) -> WireFormat:
    if content_type == "audio/x-mulaw":
        return WireFormat("audio/x-mulaw", rate_hz)
    return l16(rate_hz, order)


def start_message(call_id: str, stream_id: str, account_id: str, wire_format: WireFormat) -> bytes:
    """The first message of a stream."""
    return json.dumps(
        {
            "sequenceNumber": 0,
            "event": "start",
            "start": {
                "callId": call_id,
                "streamId": stream_id,
                "accountId": account_id,
                "tracks": ["inbound"],
                "mediaFormat": {
                    "encoding": wire_format.encoding,
                    "sampleRate": wire_format.rate_hz,
                },
            },
            "extra_headers": "{}",
        }
    ).encode()


def media_template(stream_id: str) -> bytes:
    """A ``media`` message with places for number, epoch milliseconds, number and payload."""
    return (
        b'{"sequenceNumber":%%d,"streamId":"%s","event":"media","media":{"track":"inbound",'
        b'"timestamp":"%%d","chunk":%%d,"payload":"%%b"},"extra_headers":"{}"}'
    ) % stream_id.encode()


def dtmf_message(stream_id: str, digit: str, epoch_ms: int) -> bytes:
    """A key press, in the shape that Plivo and every known integration use."""
    dtmf = {"track": "inbound", "digit": digit, "timestamp": str(epoch_ms)}
    return json.dumps({"event": "dtmf", "streamId": stream_id, "dtmf": dtmf}).encode()


def played_message(stream_id: str, name: str) -> bytes:
    """The audio before a checkpoint has been heard."""
    return json.dumps({"event": "playedStream", "streamId": stream_id, "name": name}).encode()


def cleared_message(stream_id: str) -> bytes:
    """A flush is complete."""
    return json.dumps(
        {"sequenceNumber": 0, "event": "clearedAudio", "streamId": stream_id}
    ).encode()


def stop_message(stream_id: str) -> bytes:
    """The inbound ``stop`` that some of the vendor's material shows."""
    return json.dumps({"event": "stop", "streamId": stream_id, "reason": "call_ended"}).encode()
