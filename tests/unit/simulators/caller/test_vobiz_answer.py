"""The answer's XML against section 3 of the Vobiz protocol."""

import pytest

from simulators.caller.codec import MULAW_8K, l16
from simulators.caller.vobiz_answer import AnswerRejected, StreamOrder, read_answer

GOOD = {
    "bidirectional": "true",
    "audioTrack": "inbound",
    "keepCallAlive": "true",
    "contentType": "audio/x-mulaw;rate=8000",
}
URL = "wss://voice.example.in/voice/a?x=1&amp;y=2"


def answer(
    attributes: dict[str, str] | None = None,
    text: str = URL,
    *,
    status: int = 200,
    content_type: str = "application/xml; charset=utf-8",
    body: str | None = None,
) -> StreamOrder:
    given = GOOD if attributes is None else attributes
    inside = " ".join(f'{name}="{value}"' for name, value in given.items())
    if body is None:
        body = f"<Response><Stream {inside}>{text}</Stream><Speak>Sorry</Speak><Hangup/></Response>"
    return read_answer(status, content_type, body.encode())


def test_the_documented_answer_is_accepted() -> None:
    order = answer(GOOD | {"statusCallbackUrl": "https://v.in/s", "maxRetries": "2"})
    assert order.url == "wss://voice.example.in/voice/a?x=1&y=2"
    assert order.wire_format("big") == MULAW_8K
    assert (order.status_url, order.status_method, order.max_retries) == (
        "https://v.in/s",
        "POST",
        2,
    )
    assert order.next_verbs == ("Speak", "Hangup")
    assert order.problems == ()


def test_l16_is_the_default_and_its_byte_order_the_callers() -> None:
    without = {name: value for name, value in GOOD.items() if name != "contentType"}
    assert answer(without).wire_format("big") == l16(8000, "big")
    wide = GOOD | {"contentType": "audio/x-l16;rate=16000"}
    assert answer(wide).wire_format("little") == l16(16000, "little")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"contentType": "audio/x-mulaw;rate=16000"}, "contentType"),
        ({"contentType": "audio/x-mulaw; rate=8000"}, "contentType"),
        ({"bidirectional": "True"}, "bidirectional"),
        ({"audioTrack": "both"}, "audioTrack"),
        ({"bidirectional": "false"}, "keepCallAlive needs"),
        ({"keepCallAlive": "false"}, "drops at once"),
        ({"maxRetries": "11"}, "maxRetries"),
        ({"streamTimeout": "-1"}, "streamTimeout"),
        ({"streamTimeout": "90000"}, "streamTimeout"),
        ({"url": "wss://v.in"}, "no attribute 'url'"),
        ({"extraHeaders": "k=" + "v" * 511}, "512"),
        ({"statusCallbackMethod": "PUT"}, "statusCallbackMethod"),
    ],
)
def test_illegal_attributes_drop_the_call(change: dict[str, str], reason: str) -> None:
    with pytest.raises(AnswerRejected, match=reason) as rejected:
        answer(GOOD | change)
    assert rejected.value.code == 8011


@pytest.mark.parametrize("text", ["", "https://voice.example.in", "/voice", "wss://"])
def test_the_text_must_be_a_websocket_url(text: str) -> None:
    with pytest.raises(AnswerRejected, match="no WebSocket URL"):
        answer(text=text)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<Response>",
        "<Response><Stream>wss://a.in?x=1&y=2</Stream></Response>",
        "<Answer/>",
        "<Response><Hangup/></Response>",
        "<Response><Connect/><Stream>wss://a.in</Stream></Response>",
        "<Response><Stream keepCallAlive='true' bidirectional='true'>wss://a<b/></Stream>"
        "</Response>",
    ],
)
def test_malformed_answers_drop_the_call(body: str) -> None:
    with pytest.raises(AnswerRejected):
        answer(body=body)


def test_status_and_content_type_are_checked() -> None:
    with pytest.raises(AnswerRejected, match="503") as rejected:
        answer(status=503)
    assert rejected.value.code == 7011
    with pytest.raises(AnswerRejected, match="Content-Type"):
        answer(content_type="application/json")
    with pytest.raises(AnswerRejected, match="bytes"):
        answer(text=URL + "x" * 103_000)
    assert answer(content_type="text/xml").url


def test_what_is_merely_unwise_is_a_problem() -> None:
    assert answer(text=f"\n {URL}").problems == ("<Stream> has blanks around its URL",)
    assert answer(text="ws://voice.example.in/v").problems == (
        "<Stream> names an unencrypted ws:// URL",
    )
    assert answer(text="ws://127.0.0.1:7860/v").problems == ()
    assert answer(GOOD | {"contentType": "audio/x-l16;rate=24000"}).problems
