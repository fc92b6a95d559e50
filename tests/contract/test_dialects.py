"""What holds for every wire dialect: limits, one kind of error, messages that can be read.

A new dialect joins by an entry in ``CASES``.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import WireError
from serializer.base import MAX_MESSAGE_BYTES, Dialect
from serializer.client import ClientDialect
from serializer.codecs import AudioFormat
from serializer.detect import detect_dialect
from serializer.messages import Ignored, Media, Message
from serializer.vobiz import VobizDialect


@dataclass(frozen=True)
class Case:
    """One dialect: how it opens, how it writes audio, and the words it reads."""

    build: Callable[[], Dialect]
    opening: str
    audio: Callable[[int, str], dict[str, Any]]
    sent_audio: Callable[[dict[str, Any]], str]
    kind: str
    kinds: tuple[str, ...]
    members: tuple[str, ...]

    def running(self) -> Dialect:
        dialect = self.build()
        dialect.decode(self.opening)
        dialect.ready("session-1")
        return dialect


CASES = {
    "vobiz": Case(
        build=VobizDialect,
        opening=json.dumps(
            {
                "event": "start",
                "start": {
                    "callId": "c-1",
                    "streamId": "s-1",
                    "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000},
                },
            }
        ),
        audio=lambda number, data: {
            "event": "media",
            "sequenceNumber": number,
            "media": {"chunk": number, "payload": data},
        },
        sent_audio=lambda message: str(message["media"]["payload"]),
        kind="event",
        kinds=("start", "media", "dtmf", "playedStream", "clearedAudio", "stop", "other"),
        members=(
            "start",
            "media",
            "dtmf",
            "stop",
            "name",
            "digit",
            "reason",
            "streamId",
            "callId",
            "sequenceNumber",
            "extra_headers",
        ),
    ),
    "client": Case(
        build=ClientDialect,
        opening=json.dumps({"type": "auth", "token": "t", "format": "pcm_16k"}),
        audio=lambda number, data: {"type": "audio", "sequence": number, "data": data},
        sent_audio=lambda message: str(message["data"]),
        kind="type",
        kinds=("auth", "audio", "control", "text", "dtmf", "ping", "other"),
        members=(
            "session_id",
            "sequence",
            "format",
            "data",
            "timestamp",
            "token",
            "agent_id",
            "binary",
            "action",
            "text",
            "digit",
        ),
    ),
}

#: The machine may be busy; how long a test takes proves nothing.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1", "AAAA", "audio/x-l16", "pcm_16k", "pause"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["payload", "track", "chunk", "timestamp", "digit", "streamId", "mediaFormat"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def _survives(dialect: Dialect, data: str | bytes) -> Message | None:
    try:
        return dialect.decode(data)
    except WireError as error:
        assert error.code
        assert error.message
        return None


def test_the_opening_tells_the_dialect(case: Case) -> None:
    assert detect_dialect(case.opening).name == case.build().name


def test_formats_are_known_after_the_opening_only(case: Case) -> None:
    dialect = case.build()
    assert dialect.input_format is None
    assert dialect.output_format is None
    dialect.decode(case.opening)
    assert isinstance(dialect.input_format, AudioFormat)
    assert isinstance(dialect.output_format, AudioFormat)


@given(pcm=st.binary(min_size=2, max_size=640).filter(lambda pcm: len(pcm) % 2 == 0))
@settings(_PATIENT, max_examples=30)
@pytest.mark.parametrize("name", CASES)
def test_samples_survive_both_directions(name: str, pcm: bytes) -> None:
    case = CASES[name]
    dialect = case.running()
    assert dialect.input_format
    assert dialect.output_format
    wire = base64.b64encode(dialect.input_format.encode(pcm)).decode()
    message = dialect.decode(json.dumps(case.audio(1, wire)))
    assert isinstance(message, Media)
    assert dialect.input_format.decode(message.payload) == pcm
    sent = dialect.audio(dialect.output_format.encode(pcm))
    assert isinstance(sent, str)
    heard = base64.b64decode(case.sent_audio(json.loads(sent)), validate=True)
    assert dialect.output_format.decode(heard).startswith(pcm)


def test_a_duplicate_is_heard_once(case: Case) -> None:
    dialect = case.running()
    packet = json.dumps(case.audio(5, "AAAA"))
    assert isinstance(dialect.decode(packet), Media)
    assert dialect.decode(packet) == Ignored("stale_media")
    assert isinstance(dialect.decode(json.dumps(case.audio(6, "AAAA"))), Media)


def test_audio_without_samples_is_ignored(case: Case) -> None:
    assert case.running().decode(json.dumps(case.audio(1, ""))) == Ignored("empty_media")


def test_unknown_members_are_allowed(case: Case) -> None:
    audio = {**case.audio(1, "AAAA"), "new": {"thing": [1, 2, {"deep": None}]}}
    assert isinstance(case.running().decode(json.dumps(audio)), Media)


def _bad_messages(case: Case) -> dict[str, str | bytes]:
    audio = json.dumps(case.audio(1, "AAAA"))
    rest = audio[1:]
    return {
        "empty": "",
        "no JSON": "hello",
        "array": "[]",
        "null": "null",
        "cut": audio[:-1],
        "trailing": audio + "x",
        "two": audio + audio,
        "NaN": '{"x":NaN,' + rest,
        "infinity": '{"x":-Infinity,' + rest,
        "comment": "/* */" + audio,
        "single quotes": audio.replace('"', "'"),
        "bad base64": json.dumps(case.audio(1, "AAA")),
        "base64 with a line": json.dumps(case.audio(1, "AAAA\nAAAA")),
        "url-safe base64": json.dumps(case.audio(1, "__--")),
        "lone surrogate": '{"x":"\ud800",' + rest,
        "escaped surrogate": '{"x":"\\ud800",' + rest,
        "invalid UTF-8": b'{"x":"\xff",' + rest.encode(),
        "UTF-16": audio.encode("utf-16"),
        "depth 9": '{"x":' + "[" * 8 + "]" * 8 + "," + rest,
        "depth 10000": '{"x":' + "[" * 10_000 + "]" * 10_000 + "," + rest,
        "open depth": '{"x":' + "[" * 10_000,
        "too long": json.dumps(case.audio(1, "A" * MAX_MESSAGE_BYTES)),
        "too many bytes": '{"x":"' + "न" * (MAX_MESSAGE_BYTES // 3) + '",' + rest,
        "5000 digits as the kind": f'{{"{case.kind}":' + "9" * 5000 + "}",
        "repeated key": f'{{"{case.kind}":"stop","{case.kind}":"dtmf","digit":"1"}}',
        "NUL": '{"x":"\x00",' + rest,
    }


@pytest.mark.parametrize("kind", _bad_messages(CASES["vobiz"]))
def test_every_bad_message_is_a_wire_error_and_survived(case: Case, kind: str) -> None:
    dialect = case.running()
    bad = _bad_messages(case)[kind]
    if case.build is ClientDialect and isinstance(bad, bytes):
        assert isinstance(dialect.decode(bad), Media)  # to a running client all bytes are samples
        dialect = case.build()
    with pytest.raises(WireError) as caught:
        dialect.decode(bad)
    assert caught.value.code in {"message_invalid", "message_too_large"}
    assert len(caught.value.message) <= 300
    healthy = case.running() if dialect.input_format is None else dialect
    assert isinstance(healthy.decode(json.dumps(case.audio(1, "AAAA"))), Media)


def test_the_limits_themselves_are_allowed(case: Case) -> None:
    rest = json.dumps(case.audio(1, "AAAA"))[1:]
    deepest = '{"x":' + "[" * 7 + "]" * 7 + "," + rest
    assert isinstance(case.running().decode(deepest), Media)
    wide = '{"x":[' + ",".join(["[{}]"] * 50) + "]," + rest
    assert isinstance(case.running().decode(wide), Media)
    brackets = json.dumps("[" * 50 + '"' + "{" * 50)
    assert isinstance(case.running().decode('{"x":' + brackets + "," + rest), Media)
    start = '{"x":"'
    longest = start + "x" * (MAX_MESSAGE_BYTES - len(start) - 2 - len(rest)) + '",' + rest
    assert len(longest) == MAX_MESSAGE_BYTES
    assert isinstance(case.running().decode(longest), Media)


@given(data=st.binary(max_size=300) | st.text(max_size=300))
@settings(_PATIENT)
@pytest.mark.parametrize("name", CASES)
def test_any_bytes_and_any_text_are_survived(name: str, data: str | bytes) -> None:
    case = CASES[name]
    _survives(case.build(), data)
    _survives(case.running(), data)


@given(data=st.data())
@settings(_PATIENT, max_examples=150)
@pytest.mark.parametrize("name", CASES)
def test_any_json_of_the_right_words_is_survived(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    dialect = case.running()
    for _ in range(3):
        message = data.draw(st.dictionaries(st.sampled_from(case.members), JSON_VALUES, max_size=6))
        message[case.kind] = data.draw(st.sampled_from(case.kinds) | JSON_VALUES)
        _survives(dialect, json.dumps(message))
        _survives(case.build(), json.dumps(message))
    assert isinstance(dialect.audio(bytes(640)), str)


@given(data=st.data())
@settings(_PATIENT, max_examples=150)
@pytest.mark.parametrize("name", CASES)
def test_any_mutation_of_real_messages_is_survived(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    original = data.draw(st.sampled_from([case.opening, json.dumps(case.audio(1, "AAAA"))]))
    mutated = bytearray(original.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        mutated[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not mutated:
            break
    for form in (bytes(mutated), mutated.decode(errors="surrogateescape")):
        _survives(case.build(), form)
        _survives(case.running(), form)


@pytest.mark.parametrize("digits", [4299, 4300, 4301, 5000])
@pytest.mark.parametrize("name", CASES)
def test_long_numbers_anywhere_are_survived(name: str, digits: int) -> None:
    case = CASES[name]
    number = "9" * digits
    nested = f'{{"payload":"AAAA","chunk":"{number}","timestamp":"{number}","digit":{number}}}'
    for kind in case.kinds:
        for member in case.members:
            for value in (number, f'"{number}"', f'{{"{member}":{number}}}', nested):
                text = f'{{"{case.kind}":"{kind}","{member}":{value}}}'
                _survives(case.running(), text)
                _survives(case.build(), text)


def test_whatever_is_sent_is_one_json_object_or_nothing(case: Case) -> None:
    dialect = case.running()
    frames = [
        dialect.audio(bytes(640)),
        dialect.checkpoint("turn-1"),
        dialect.clear(),
        dialect.interrupted(),
        dialect.transcript("agent", 'क "q" \\ \u2028', True),
        dialect.status("listening"),
        dialect.metrics(1, response_ms=1.0),
        dialect.error("internal", "it broke", True),
        dialect.pong(),
        dialect.stop(),
    ]
    sent = [frame for frame in frames if frame is not None]
    assert len(sent) >= 4
    for frame in sent:
        assert isinstance(json.loads(frame), dict)
        assert case.kind in json.loads(frame)
        assert len(frame.encode() if isinstance(frame, str) else frame) <= MAX_MESSAGE_BYTES


def test_acknowledging_dialects_have_the_words_to_acknowledge(case: Case) -> None:
    dialect = case.running()
    assert (dialect.checkpoint("a") is not None) == dialect.sends_acks
    assert (dialect.clear() is not None) == dialect.sends_acks
    # Barge-in is told in exactly one way.
    assert (dialect.clear() is None) != (dialect.interrupted() is None)
