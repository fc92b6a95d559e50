"""The Vobiz dialect, message by message, as the carrier documents it."""

import base64
import json
from typing import Any

import pytest

from config.errors import WireError
from config.sections import VobizSettings
from serializer.base import FATAL_WIRE_CODES
from serializer.codecs import MULAW_8K, PCM_8K, AudioFormat
from serializer.messages import (
    Dtmf,
    Ignored,
    Media,
    PlaybackCleared,
    PlaybackReached,
    StreamStarted,
    StreamStopped,
)
from serializer.vobiz import VobizDialect, VobizOptions

STREAM = "b2c3-0002"


def start(**changes: Any) -> str:
    """A start as Vobiz documents it, with parts of its body replaced."""
    body = {
        "callId": "6d1f-0001",
        "streamId": STREAM,
        "accountId": "500001",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
    }
    body.update(changes)
    given = {key: value for key, value in body.items() if value is not None}
    return json.dumps(
        {"sequenceNumber": 0, "event": "start", "start": given, "extra_headers": "{}"}
    )


def media(number: int, samples: bytes = b"\xff" * 160, **changes: Any) -> str:
    """A media message as Vobiz documents it, with parts of its body replaced."""
    body = {
        "track": "inbound",
        "timestamp": "1793514600123",
        "chunk": number,
        "payload": base64.b64encode(samples).decode(),
    }
    body.update(changes)
    return json.dumps(
        {
            "sequenceNumber": number,
            "streamId": STREAM,
            "event": "media",
            "media": {key: value for key, value in body.items() if value is not None},
            "extra_headers": "{}",
        }
    )


def l16(rate_hz: float | str) -> dict[str, Any]:
    return {"encoding": "audio/x-l16", "sampleRate": rate_hz}


def started(options: VobizOptions | None = None, **changes: Any) -> VobizDialect:
    dialect = VobizDialect(options)
    dialect.decode(start(**changes))
    return dialect


def test_start_is_read() -> None:
    dialect = VobizDialect()
    assert dialect.input_format is None
    assert dialect.decode(start()) == StreamStarted(
        call_id="6d1f-0001",
        stream_id=STREAM,
        media=MULAW_8K,
        account_id="500001",
        custom={},
    )
    assert dialect.input_format == dialect.output_format == MULAW_8K


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_l16_has_the_documented_byte_order_per_direction(rate_hz: int) -> None:
    dialect = started(mediaFormat=l16(rate_hz))
    assert dialect.input_format == AudioFormat("pcm", rate_hz, "be")
    assert dialect.output_format == AudioFormat("pcm", rate_hz, "le")


@pytest.mark.parametrize("in_order", ["le", "be"])
@pytest.mark.parametrize("out_order", ["le", "be"])
def test_byte_orders_can_be_chosen(in_order: Any, out_order: Any) -> None:
    options = VobizOptions(l16_in_order=in_order, l16_out_order=out_order)
    dialect = started(options, mediaFormat=l16(16000))
    assert dialect.input_format == AudioFormat("pcm", 16000, in_order)
    assert dialect.output_format == AudioFormat("pcm", 16000, out_order)


@pytest.mark.parametrize(
    ("offered", "rate_hz"),
    [
        (l16("16000"), 16000),
        (l16(16000.0), 16000),
        ({"encoding": "audio/x-l16;rate=16000"}, 16000),
        ({"encoding": "AUDIO/L16", "sampleRate": 24000}, 24000),
        ({"encoding": "audio/x-l16"}, 8000),
    ],
)
def test_a_format_may_be_written_in_several_ways(offered: dict[str, Any], rate_hz: int) -> None:
    assert started(mediaFormat=offered).input_format == AudioFormat("pcm", rate_hz, "be")


def test_without_a_format_the_assumed_one_counts() -> None:
    assert started(mediaFormat=None).input_format == MULAW_8K
    options = VobizOptions(assumed_format=PCM_8K)
    assert started(options, mediaFormat={}).input_format == AudioFormat("pcm", 8000, "be")
    assert started(options, mediaFormat={"sampleRate": 16000}).input_format == AudioFormat(
        "pcm", 16000, "be"
    )


@pytest.mark.parametrize(
    ("content_type", "assumed"),
    [
        ("audio/x-mulaw;rate=8000", MULAW_8K),
        ("audio/x-l16;rate=16000", AudioFormat("pcm", 16000, "be")),
    ],
)
def test_options_follow_the_settings(content_type: Any, assumed: AudioFormat) -> None:
    assert VobizOptions.from_settings(VobizSettings()) == VobizOptions()
    settings = VobizSettings(content_type=content_type, l16_out_order="big")
    dialect = started(VobizOptions.from_settings(settings), mediaFormat=None)
    assert dialect.input_format == assumed
    dialect = started(VobizOptions.from_settings(settings), mediaFormat=l16(8000))
    assert dialect.input_format == dialect.output_format == AudioFormat("pcm", 8000, "be")


def test_the_format_to_the_caller_may_differ() -> None:
    dialect = started(VobizOptions(output_format=AudioFormat("pcm", 24000)))
    assert dialect.input_format == MULAW_8K
    sent = json.loads(dialect.audio(bytes(960)))
    assert sent["media"]["contentType"] == "audio/x-l16"
    assert sent["media"]["sampleRate"] == 24000


@pytest.mark.parametrize(
    "offered",
    [
        {"encoding": "audio/x-mulaw", "sampleRate": 16000},
        {"encoding": "audio/x-l16", "sampleRate": 11025},
        {"encoding": "audio/x-l16", "sampleRate": -8000},
        {"encoding": "audio/opus", "sampleRate": 48000},
    ],
)
def test_a_foreign_format_is_refused_for_good(offered: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        VobizDialect().decode(start(mediaFormat=offered))
    assert caught.value.code == "format_unsupported"
    assert caught.value.code in FATAL_WIRE_CODES


def test_ids_may_stand_at_the_top_and_headers_inside_an_object() -> None:
    message = VobizDialect().decode(
        '{"event":"start","streamId":"s","callId":"c","start":{"auth_id":"MA_X"},'
        '"extra_headers":{"agent":"a1","count":3}}'
    )
    assert message == StreamStarted(
        call_id="c", stream_id="s", account_id="MA_X", custom={"agent": "a1"}
    )


@pytest.mark.parametrize("headers", ['"{\\"agent\\":\\"a1\\"}"', '{"agent":"a1"}'])
def test_extra_headers_are_carried(headers: str) -> None:
    message = VobizDialect().decode(
        f'{{"event":"start","start":{{"streamId":"s"}},"extra_headers":{headers}}}'
    )
    assert isinstance(message, StreamStarted)
    assert message.custom == {"agent": "a1"}
    assert message.call_id is None


@pytest.mark.parametrize("headers", ['"not json"', '"[]"', '""', "null", "[1]", "7"])
def test_odd_extra_headers_do_not_matter(headers: str) -> None:
    message = VobizDialect().decode(
        f'{{"event":"start","start":{{"streamId":"s"}},"extra_headers":{headers}}}'
    )
    assert isinstance(message, StreamStarted)
    assert message.custom == {}


@pytest.mark.parametrize("stream_id", [None, "", "a\nb", "x" * 129, "नमस्ते"])
def test_a_start_without_a_usable_stream_id_is_refused(stream_id: str | None) -> None:
    with pytest.raises(WireError) as caught:
        VobizDialect().decode(start(streamId=stream_id))
    assert caught.value.code == "start_invalid"


def test_the_same_start_again_is_ignored() -> None:
    dialect = started()
    assert dialect.decode(start()) == Ignored("duplicate_start")
    assert dialect.decode(start(accountId=500002)) == Ignored("duplicate_start")
    assert dialect.ignored["duplicate_start"] == 2


@pytest.mark.parametrize(
    "changes", [{"streamId": "other"}, {"callId": "other"}, {"mediaFormat": l16(8000)}]
)
def test_another_start_conflicts_and_changes_nothing(changes: dict[str, Any]) -> None:
    dialect = started()
    with pytest.raises(WireError) as caught:
        dialect.decode(start(**changes))
    assert caught.value.code == "conflicting_start"
    assert dialect.input_format == MULAW_8K
    assert json.loads(dialect.audio(b"\x00" * 160))["streamId"] == STREAM


def test_media_is_read_in_the_wires_own_codec() -> None:
    payload = bytes(range(160))
    assert started().decode(media(17, payload)) == Media(payload, 17, 1793514600123)


def test_media_before_start_is_decoded() -> None:
    assert VobizDialect().decode(media(1)) == Media(b"\xff" * 160, 1, 1793514600123)


def test_numbers_may_be_strings_and_extra_members_do_not_matter() -> None:
    message = started().decode(
        '{"event":"media","sequenceNumber":"17","media":{"payload":"AAAA","chunk":"17",'
        '"timestamp":1793514600123,"contentType":"audio/x-mulaw","sampleRate":8000}}'
    )
    assert message == Media(b"\x00\x00\x00", 17, 1793514600123)


def test_old_media_is_dropped_and_counted() -> None:
    dialect = started()
    heard = [dialect.decode(media(number)) for number in (1, 2, 2, 4, 3, 5)]
    assert [m.sequence for m in heard if isinstance(m, Media)] == [1, 2, 4, 5]
    assert heard[2] == heard[4] == Ignored("stale_media")
    assert dialect.ignored["stale_media"] == 2


def test_media_without_a_payload_is_ignored_and_leaves_no_trace() -> None:
    dialect = started()
    assert dialect.decode(media(1, b"")) == Ignored("empty_media")
    assert dialect.decode(media(1, payload=None)) == Ignored("empty_media")
    assert dialect.decode('{"event":"media"}') == Ignored("empty_media")
    assert isinstance(dialect.decode(media(1)), Media)


def test_the_agents_own_track_is_ignored() -> None:
    dialect = started()
    assert dialect.decode(media(1, track="outbound")) == Ignored("other_track")
    assert isinstance(dialect.decode(media(1, track=None)), Media)


def test_half_a_sample_is_cut_off_and_counted() -> None:
    dialect = started(mediaFormat=l16(8000))
    message = dialect.decode(media(1, b"\x00" * 321))
    assert isinstance(message, Media)
    assert len(message.payload) == 320
    assert dialect.decode(media(2, b"\x00")) == Ignored("empty_media")
    assert dialect.ignored["odd_length"] == 2
    mulaw = started().decode(media(1, b"\x00" * 161))
    assert isinstance(mulaw, Media)
    assert len(mulaw.payload) == 161


@pytest.mark.parametrize("payload", ["AAA", "A===", "AA=A", "AA AA", "_-__", "AAAA\n", "नमः="])
def test_base64_is_strict(payload: str) -> None:
    with pytest.raises(WireError) as caught:
        started().decode(media(1, payload=payload))
    assert caught.value.code == "message_invalid"


@pytest.mark.parametrize(
    "body",
    [
        '"dtmf":{"track":"inbound","digit":"5","timestamp":"1"}',
        '"dtmf":{"digit":5}',
        '"dtmf":{"digits":"5"}',
        '"dtmf":"5"',
        '"dtmf":5',
        '"digit":"5"',
    ],
)
def test_dtmf_is_understood_in_every_plausible_shape(body: str) -> None:
    assert started().decode(f'{{"event":"dtmf","streamId":"s",{body}}}') == Dtmf("5")


@pytest.mark.parametrize("key", [*"0123456789*#ABCD"])
def test_every_key_is_understood(key: str) -> None:
    message = {"event": "dtmf", "dtmf": {"digit": key.lower()}}
    assert started().decode(json.dumps(message)) == Dtmf(key)


@pytest.mark.parametrize("body", ["{}", "null", '{"digit":"12"}', '{"digit":true}', "[]", '"x"'])
def test_a_key_that_is_none_is_an_error(body: str) -> None:
    with pytest.raises(WireError) as caught:
        started().decode(f'{{"event":"dtmf","dtmf":{body}}}')
    assert caught.value.code == "message_invalid"


def test_playback_reports_are_read() -> None:
    dialect = started()
    assert dialect.decode('{"event":"playedStream","name":"turn-3"}') == PlaybackReached("turn-3")
    cleared = '{"sequenceNumber":0,"event":"clearedAudio","streamId":"b2c3-0002"}'
    assert dialect.decode(cleared) == PlaybackCleared()


def test_a_checkpoint_without_a_name_is_an_error() -> None:
    with pytest.raises(WireError):
        started().decode('{"event":"playedStream"}')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"event":"stop","streamId":"s","reason":"call_ended"}', "call_ended"),
        ('{"event":"stop","stop":{"reason":"callended"}}', "callended"),
        ('{"event":"stop","stop":"bye\\r\\n\\u001b[31m"}', "bye[31m"),
        ('{"event":"stop"}', None),
    ],
)
def test_stop_is_read(text: str, reason: str | None) -> None:
    assert started().decode(text) == StreamStopped(reason)


def test_unknown_events_are_ignored() -> None:
    dialect = started()
    assert dialect.decode('{"event":"weather","degrees":40}') == Ignored("unknown_event")
    assert dialect.ignored["unknown_event"] == 1


def test_audio_is_sent_as_documented() -> None:
    payload = bytes(range(160))
    assert json.loads(started().audio(payload)) == {
        "event": "playAudio",
        "streamId": STREAM,
        "media": {
            "contentType": "audio/x-mulaw",
            "sampleRate": 8000,
            "payload": base64.b64encode(payload).decode(),
        },
    }


@pytest.mark.parametrize(
    ("offered", "packet_bytes", "silence"),
    [
        ({"encoding": "audio/x-mulaw", "sampleRate": 8000}, 160, b"\xff"),
        (l16(8000), 320, b"\x00"),
        (l16(16000), 640, b"\x00"),
        (l16(24000), 960, b"\x00"),
    ],
)
def test_audio_is_filled_up_to_twenty_milliseconds(
    offered: dict[str, Any], packet_bytes: int, silence: bytes
) -> None:
    dialect = started(mediaFormat=offered)
    sent = base64.b64decode(
        json.loads(dialect.audio(b"\x01" * (packet_bytes + 2)))["media"]["payload"]
    )
    assert sent == b"\x01" * (packet_bytes + 2) + silence * (packet_bytes - 2)


def test_marks_and_flushes_are_sent_as_documented() -> None:
    dialect = started()
    assert json.loads(dialect.checkpoint('turn "3"') or "") == {
        "event": "checkpoint",
        "streamId": STREAM,
        "name": 'turn "3"',
    }
    assert json.loads(dialect.clear() or "") == {"event": "clearAudio", "streamId": STREAM}
    assert json.loads(dialect.stop() or "") == {"event": "stop", "streamId": STREAM}


def test_a_stream_id_is_escaped() -> None:
    dialect = started(streamId='a"},"event":"stop')
    assert json.loads(dialect.audio(bytes(160)))["event"] == "playAudio"
    assert json.loads(dialect.clear() or "")["streamId"] == 'a"},"event":"stop'


def test_nothing_can_be_sent_before_start() -> None:
    dialect = VobizDialect()
    with pytest.raises(WireError, match="not started"):
        dialect.audio(b"")
    with pytest.raises(WireError, match="not started"):
        dialect.checkpoint("a")
    with pytest.raises(WireError, match="not started"):
        dialect.clear()
