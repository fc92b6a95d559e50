"""The client protocol, message by message, as its specification has it."""

import base64
import json
from typing import Any

import pytest

from config.errors import WireError
from serializer.base import FATAL_WIRE_CODES
from serializer.client import CLIENT_FORMATS, CLOSE_CODES, ClientDialect
from serializer.codecs import PCM_16K
from serializer.messages import (
    AuthRequest,
    Control,
    Dtmf,
    Ignored,
    LanguageChoice,
    Media,
    Ping,
    TextInput,
)

NOW_MS = 1_793_514_600_123
SESSION = "5f0c7a52-0000-4000-8000-000000000001"


def send(dialect: ClientDialect, **message: Any) -> Any:
    return dialect.decode(json.dumps(message))


def said(message: str | bytes | None) -> Any:
    assert isinstance(message, str)
    return json.loads(message)


def greeted(**auth: Any) -> ClientDialect:
    """A dialect that has read auth, not yet ready."""
    dialect = ClientDialect(now_ms=lambda: NOW_MS)
    send(dialect, type="auth", token="t", **auth)
    return dialect


def running(**auth: Any) -> ClientDialect:
    dialect = greeted(**auth)
    dialect.ready(SESSION)
    return dialect


def test_auth_is_read() -> None:
    dialect = ClientDialect()
    message = send(dialect, type="auth", token="a.b.c", agent_id="a1", format="pcm_16k")
    assert message == AuthRequest(token="a.b.c", agent_id="a1", format=PCM_16K)
    assert dialect.input_format == dialect.output_format == PCM_16K


def test_auth_needs_only_a_token() -> None:
    message = send(ClientDialect(), type="auth", token="a.b.c")
    assert message == AuthRequest(token="a.b.c", agent_id=None, format=PCM_16K, binary=False)


def test_a_token_is_not_shown() -> None:
    message = send(ClientDialect(), type="auth", token="a.b.c")
    assert "a.b.c" not in repr(message)


@pytest.mark.parametrize("name", CLIENT_FORMATS)
def test_every_format_can_be_asked_for(name: str) -> None:
    dialect = running(format=name)
    assert dialect.input_format == CLIENT_FORMATS[name]
    assert said(dialect.audio(bytes(160)))["format"] == name


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({}, "auth_invalid"),
        ({"token": ""}, "auth_invalid"),
        ({"token": "x" * 8193}, "auth_invalid"),
        ({"token": "t", "format": "opus"}, "format_unsupported"),
        ({"token": "t", "agent_id": ""}, "agent_unknown"),
        ({"token": "t", "agent_id": "x" * 65}, "agent_unknown"),
    ],
)
def test_a_bad_auth_is_final(auth: dict[str, Any], code: str) -> None:
    dialect = ClientDialect()
    with pytest.raises(WireError) as caught:
        send(dialect, type="auth", **auth)
    assert caught.value.code == code
    assert code in FATAL_WIRE_CODES
    assert dialect.input_format is None


@pytest.mark.parametrize("auth", [{"token": 7}, {"token": "t", "binary": "yes"}])
def test_an_auth_of_the_wrong_types_is_an_error(auth: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        send(ClientDialect(), type="auth", **auth)
    assert caught.value.code == "message_invalid"


def test_auth_comes_first_and_once() -> None:
    with pytest.raises(WireError) as caught:
        send(ClientDialect(), type="ping")
    assert caught.value.code == "auth_invalid"
    with pytest.raises(WireError) as caught:
        send(running(), type="auth", token="t", format="pcm_8k")
    assert caught.value.code == "message_invalid"


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(WireError) as caught:
        ClientDialect().decode('{"type":"auth","token":"mine","token":"yours"}')
    assert caught.value.code == "message_invalid"


def test_audio_is_read() -> None:
    message = send(
        running(),
        type="audio",
        session_id=SESSION,
        sequence=1,
        format="pcm_16k",
        timestamp=NOW_MS,
        data=base64.b64encode(b"\x01\x02").decode(),
    )
    assert message == Media(b"\x01\x02", 1, NOW_MS)


def test_audio_needs_only_data() -> None:
    assert send(running(), type="audio", data="AAE=") == Media(b"\x00\x01")
    assert send(greeted(), type="audio", data="AAE=") == Media(b"\x00\x01")


def test_audio_of_another_format_or_session_is_an_error() -> None:
    for changes in ({"format": "pcm_8k"}, {"session_id": "another"}):
        with pytest.raises(WireError) as caught:
            send(running(), type="audio", data="AAE=", **changes)
        assert caught.value.code == "message_invalid"


def test_old_audio_is_dropped_and_counted() -> None:
    dialect = running()
    heard = [send(dialect, type="audio", sequence=n, data="AAE=") for n in (1, 2, 2, 1, 3)]
    assert [m.sequence for m in heard if isinstance(m, Media)] == [1, 2, 3]
    assert dialect.ignored["stale_media"] == 2


def test_empty_audio_is_ignored() -> None:
    dialect = running(format="pcm_8k")
    assert send(dialect, type="audio") == Ignored("empty_media")
    assert send(dialect, type="audio", data="") == Ignored("empty_media")
    assert send(dialect, type="audio", data="AA==") == Ignored("empty_media")
    assert dialect.decode(b"") == Ignored("empty_media")
    assert dialect.ignored == {"empty_media": 4, "odd_length": 1}


def test_binary_frames_are_audio() -> None:
    dialect = running()
    assert dialect.decode(b"\x01\x02\x03\x04") == Media(b"\x01\x02\x03\x04")
    assert dialect.decode(b"\x01\x02\x03") == Media(b"\x01\x02")
    assert dialect.ignored["odd_length"] == 1
    assert running(format="mulaw_8k").decode(b"\x01") == Media(b"\x01")


def test_a_binary_frame_has_the_same_limit_as_a_text() -> None:
    dialect = running()
    assert dialect.decode(bytes(64 * 1024)) == Media(bytes(64 * 1024))
    with pytest.raises(WireError) as caught:
        dialect.decode(bytes(64 * 1024 + 2))
    assert caught.value.code == "message_too_large"


@pytest.mark.parametrize("action", ["pause", "resume", "end", "interrupt"])
def test_control_is_read(action: Any) -> None:
    assert send(running(), type="control", action=action) == Control(action)


def test_text_keys_and_pings_are_read() -> None:
    dialect = running()
    assert send(dialect, type="text", text=" नमस्ते\x00 ") == TextInput("नमस्ते")
    assert send(dialect, type="text", text="क्\u200dष") == TextInput("क्\u200dष")
    assert send(dialect, type="dtmf", digit="d") == Dtmf("D")
    assert send(dialect, type="ping", id=7) == Ping()


@pytest.mark.parametrize(
    "message",
    [
        {"type": "control"},
        {"type": "control", "action": "explode"},
        {"type": "text"},
        {"type": "text", "text": " \x00 "},
        {"type": "text", "text": "x" * 4001},
        {"type": "dtmf"},
        {"type": "dtmf", "digit": "12"},
        {"type": "dtmf", "digit": ""},
        {"type": "audio", "data": "AAA"},
        {"type": "audio", "sequence": "one", "data": "AAE="},
        {"type": 7},
        {},
    ],
)
def test_a_bad_message_is_an_error_and_the_next_one_is_read(message: dict[str, Any]) -> None:
    dialect = running()
    with pytest.raises(WireError) as caught:
        send(dialect, **message)
    assert caught.value.code == "message_invalid"
    assert send(dialect, type="ping") == Ping()


def test_unknown_types_are_ignored() -> None:
    assert send(running(), type="dance") == Ignored("unknown_event")


def test_ready_tells_what_was_agreed() -> None:
    assert said(greeted(format="mulaw_8k", binary=True).ready(SESSION)) == {
        "type": "ready",
        "session_id": SESSION,
        "timestamp": NOW_MS,
        "format": "mulaw_8k",
        "formats": ["pcm_8k", "pcm_16k", "pcm_24k", "mulaw_8k"],
        "binary": True,
    }


def test_audio_is_numbered_from_one() -> None:
    dialect = running()
    assert [said(dialect.audio(b"\x00\x01")) for _ in range(2)] == [
        {
            "type": "audio",
            "session_id": SESSION,
            "format": "pcm_16k",
            "sequence": number,
            "timestamp": NOW_MS,
            "data": "AAE=",
        }
        for number in (1, 2)
    ]


def test_audio_is_binary_if_asked_for() -> None:
    assert running(binary=True).audio(b"\x00\x01") == b"\x00\x01"


def test_no_audio_before_ready() -> None:
    with pytest.raises(WireError) as caught:
        greeted().audio(b"\x00\x01")
    assert caught.value.code == "not_started"


def test_everything_else_is_sent_as_specified() -> None:
    dialect = running()
    common = {"session_id": SESSION, "timestamp": NOW_MS}
    assert said(dialect.interrupted()) == {"type": "interrupted", **common}
    assert said(dialect.pong()) == {"type": "pong", **common}
    assert said(dialect.status("thinking")) == {"type": "status", "state": "thinking", **common}
    assert said(dialect.transcript("user", "नमस्ते", False)) == {
        "type": "transcript",
        "role": "user",
        "text": "नमस्ते",
        "final": False,
        **common,
    }
    assert said(dialect.metrics(3, response_ms=412.34, llm_ms=90)) == {
        "type": "metrics",
        "turn": 3,
        "response_ms": 412.3,
        "stt_ms": None,
        "llm_ms": 90,
        "tts_ms": None,
        **common,
    }
    assert said(dialect.error("server_full", "try again", True)) == {
        "type": "error",
        "code": "server_full",
        "message": "try again",
        "fatal": True,
        **common,
    }


def test_an_error_before_the_session_has_no_session_id() -> None:
    assert said(ClientDialect().error("auth_timeout", "no auth in 5 s", True))["session_id"] is None


def test_error_codes_are_a_closed_list() -> None:
    dialect = running()
    assert said(dialect.error("odd_thing", "x", True))["code"] == "internal"
    assert said(dialect.error("odd_thing", "x", False))["code"] == "message_invalid"
    for code in CLOSE_CODES:
        assert said(dialect.error(code, "x", True))["code"] == code


def test_a_client_has_no_word_for_a_carriers_business() -> None:
    dialect = running()
    assert dialect.checkpoint("a") is None
    assert dialect.clear() is None
    assert dialect.stop() is None
    assert not dialect.sends_acks


def test_a_lone_surrogate_cannot_break_a_frame() -> None:
    dialect = running()
    for frame in (
        dialect.transcript("agent", "a\ud800b", True),
        dialect.error("x", "\ud800", True),
    ):
        assert isinstance(frame, str)
        frame.encode()


def test_another_language_is_asked_for_and_told() -> None:
    dialect = running()
    asked = json.dumps({"type": "control", "action": "language", "language": "ta"})
    assert dialect.decode(asked) == LanguageChoice("ta")
    for wrong in ({}, {"language": ""}, {"language": "x" * 65}):
        with pytest.raises(WireError, match="needs the language"):
            dialect.decode(json.dumps({"type": "control", "action": "language", **wrong}))
    told = json.loads(str(dialect.language("ta")))
    assert (told["type"], told["language"]) == ("language", "ta")
