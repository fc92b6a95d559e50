"""Strictness about what the application sends; the shape of what the platform sends."""

import base64
import json
from typing import Any

import msgspec
import pytest

from simulators.caller import vobiz_messages as messages
from simulators.caller.codec import MULAW_8K, l16

SILENCE = base64.b64encode(MULAW_8K.silence()).decode()
MEDIA = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": SILENCE}


def read(message: Any) -> tuple[messages.ApplicationMessage | None, str | None]:
    return messages.read_message(json.dumps(message).encode(), "s1")


def test_the_four_documented_messages_are_in_order() -> None:
    assert read({"event": "playAudio", "streamId": "s1", "media": MEDIA}) == (
        messages.PlayAudio("s1", messages.PlayMedia("audio/x-mulaw", 8000, SILENCE)),
        None,
    )
    assert read({"event": "checkpoint", "streamId": "s1", "name": "t"}) == (
        messages.Checkpoint("s1", "t"),
        None,
    )
    assert read({"event": "clearAudio", "streamId": "s1"}) == (messages.ClearAudio("s1"), None)
    assert read({"event": "stop", "streamId": "s1"}) == (messages.Stop("s1"), None)


@pytest.mark.parametrize(
    "message",
    [
        {"event": "playAudio", "media": MEDIA},
        {"event": "playAudio", "streamId": "s1", "media": MEDIA | {"sampleRate": "8000"}},
        {"event": "playAudio", "streamId": "s1", "media": MEDIA | {"track": "outbound"}},
        {"event": "playAudio", "streamId": "s1", "media": MEDIA, "sequenceNumber": 1},
        {"event": "clearAudio"},
        {"event": "clearAudio", "streamId": "s1", "name": "x"},
        {"event": "stop", "streamId": "s1", "reason": "done"},
    ],
)
def test_deviations_are_told_and_read_as_the_platform_reads_them(message: Any) -> None:
    read_message, problem = read(message)
    assert read_message is not None
    assert read_message.stream_id == "s1"
    assert problem is not None
    assert problem.startswith(message["event"])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"event":"media","streamId":"s1"}',
        b'{"event":"mark","streamId":"s1","mark":{"name":"x"}}',
        b'{"event":"clear","streamSid":"s1"}',
        b'{"event":"checkpoint","streamId":"s1"}',
        b'{"event":"playAudio","streamId":"s1"}',
        b'{"event":"playAudio","streamId":"s1","media":[]}',
        b'{"type":"rtvi"}',
        b'{"event":{"x":1}}',
        b'{"event":["stop"]}',
    ],
)
def test_what_means_nothing_to_the_platform_is_told_and_dropped(data: bytes) -> None:
    message, problem = messages.read_message(data, "s1")
    assert message is None
    assert problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"contentType": "audio/wav"}, "unknown"),
        ({"sampleRate": 16000}, "16000 Hz"),
        ({"payload": SILENCE[:-1]}, "not base64"),
        ({"payload": SILENCE[:8] + "\n" + SILENCE[8:]}, "not base64"),
        ({"payload": SILENCE.replace("/", "_")}, "not base64"),
        ({"payload": ""}, "empty"),
        ({"contentType": "audio/x-l16", "payload": "AAAA"}, "3 bytes of 16-bit"),
    ],
)
def test_audio_that_cannot_be_played(change: dict[str, Any], words: str) -> None:
    media = msgspec.convert(MEDIA | change, messages.PlayMedia)
    audio, problems = messages.playable(media, "little")
    assert audio is None
    assert words in problems[-1]


def test_audio_that_is_played_and_yet_wrong() -> None:
    part = base64.b64encode(b"\x00" * 161).decode()
    audio, (problem,) = messages.playable(messages.PlayMedia("audio/x-mulaw", 8000, part), "big")
    assert audio == (b"\x00" * 161, MULAW_8K)
    assert "no multiple of 20 ms" in problem
    audio, (problem,) = messages.playable(
        messages.PlayMedia("audio/x-mulaw;rate=8000", 8000, SILENCE), "big"
    )
    assert audio is not None
    assert "parameters" in problem


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_l16_takes_the_lines_byte_order(rate_hz: int) -> None:
    payload = base64.b64encode(b"\x01\x00" * (rate_hz // 50)).decode()
    audio, problems = messages.playable(
        messages.PlayMedia("audio/x-l16", rate_hz, payload), "little"
    )
    assert problems == []
    assert audio is not None
    assert audio[1] == l16(rate_hz, "little")


def test_start_and_media_have_the_documented_shape() -> None:
    start = json.loads(messages.start_message("c1", "s1", "500001", l16(16000, "big")))
    assert start == {
        "sequenceNumber": 0,
        "event": "start",
        "start": {
            "callId": "c1",
            "streamId": "s1",
            "accountId": "500001",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000},
        },
        "extra_headers": "{}",
    }
    media = json.loads(messages.media_template("s1") % (17, 1793514600123, 17, b"//79"))
    assert media == {
        "sequenceNumber": 17,
        "streamId": "s1",
        "event": "media",
        "media": {
            "track": "inbound",
            "timestamp": "1793514600123",
            "chunk": 17,
            "payload": "//79",
        },
        "extra_headers": "{}",
    }
