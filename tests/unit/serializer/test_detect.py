"""The first message tells who is speaking."""

import json

import pytest

from config.errors import WireError
from serializer.base import FATAL_WIRE_CODES
from serializer.codecs import AudioFormat
from serializer.detect import DialectOptions, detect_dialect
from serializer.vobiz import VobizOptions
from tests.unit.serializer.test_vobiz import l16, media, start


@pytest.mark.parametrize(
    "text", [start(), media(1), '{"event":"dtmf"}', '{"event":"stop"}', '{"event":"clearedAudio"}']
)
def test_a_carriers_event_is_vobiz(text: str) -> None:
    assert detect_dialect(text).name == "vobiz"
    assert detect_dialect(text.encode()).name == "vobiz"


@pytest.mark.parametrize("kind", ["auth", "audio", "control", "text", "dtmf", "ping"])
def test_a_clients_type_is_the_client(kind: str) -> None:
    assert detect_dialect(json.dumps({"type": kind})).name == "client"


def test_options_reach_the_dialect() -> None:
    options = DialectOptions(vobiz=VobizOptions(l16_in_order="le"))
    first = start(mediaFormat=l16(8000))
    dialect = detect_dialect(first, options)
    dialect.decode(first)
    assert dialect.input_format == AudioFormat("pcm", 8000, "le")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"event":"connected"}',
        '{"type":["auth"]}',
        '{"type":{},"event":null}',
        '{"type":"x"}',
    ],
)
def test_a_stranger_is_told_so(text: str) -> None:
    with pytest.raises(WireError) as caught:
        detect_dialect(text)
    assert caught.value.code == "dialect_unknown"
    assert caught.value.code in FATAL_WIRE_CODES


@pytest.mark.parametrize("text", ["", "hello", "[]", b"\x00\xff\xfe", "null", '{"type":"auth"'])
def test_garbage_is_an_error_that_the_next_message_may_mend(text: str | bytes) -> None:
    with pytest.raises(WireError) as caught:
        detect_dialect(text)
    assert caught.value.code == "message_invalid"
    assert caught.value.code not in FATAL_WIRE_CODES
