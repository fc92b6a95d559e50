"""Calls placed on a scripted application, most of them in virtual time."""

import asyncio
import base64
import socket as tcp
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np
import pytest

from simulators.caller.codec import MULAW_8K, WireFormat, l16
from simulators.caller.impairment import Repeat
from simulators.caller.leg import CallClosed, CallTimeout
from simulators.caller.ticker import ManualTicker, RealTicker
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.caller.vobiz_line import VobizLine
from simulators.caller.wire import WireRefused
from simulators.speech import noise, tone
from tests.unit.simulators.caller.app import App, Socket
from tests.until import until

T = TypeVar("T")
PACKET = MULAW_8K.encode(tone(400, 20, rate_hz=8000))
SPEECH = base64.b64encode(PACKET).decode()
SECOND = base64.b64encode(PACKET * 50).decode()


async def drive(
    ticker: ManualTicker, caller: VobizCaller, socket: Socket, what: Coroutine[Any, Any, T]
) -> T:
    """Let virtual time pass, each beat's packet delivered before the next, until it's done."""
    task = asyncio.ensure_future(what)
    await asyncio.sleep(0)
    while not task.done():
        ticker.advance(20)
        await until(lambda: len(socket.of("media")) == caller.packets_sent or not caller.live)
    return await task


async def heard(caller: VobizCaller, packets: int) -> None:
    await until(lambda: caller.packets_received == packets)


async def test_a_call_is_placed_answered_and_ended_as_documented(app: App) -> None:
    ticker = ManualTicker()
    line = VobizLine(auth_token="t", from_number="00000000009")
    caller = VobizCaller(
        answer_url=f"{app.base}/answer?agent_id=a1",
        hangup_url=f"{app.base}/hangup",
        line=line,
        ticker=ticker,
    )
    await caller.place()
    socket = await app.started()
    start = socket.messages[0]
    assert start["start"]["callId"] == caller.call_id
    assert start["start"]["streamId"] == caller.stream_id
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000}
    await drive(ticker, caller, socket, caller.wait(60))
    await caller.hang_up()
    await socket.closed.wait()

    path, method, fields, headers = app.webhooks[0]
    assert (path, method, headers["User-Agent"]) == ("/answer", "POST", "Vobiz")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "X-Vobiz-Signature-V3" in headers
    assert fields["agent_id"] == "a1"
    assert fields["From"] == "00000000009"
    media = socket.of("media")
    assert [each["sequenceNumber"] for each in media] == [1, 2, 3]
    assert [each["media"]["chunk"] for each in media] == [1, 2, 3]
    assert base64.b64decode(media[0]["media"]["payload"]) == b"\xff" * 160
    assert not socket.of("stop")
    assert app.posted("StartStream")[0]["ServiceURL"] == f"{app.media_url}?a=1&b=2"
    (hangup,) = app.posted("Hangup")
    assert (hangup["HangupSource"], hangup["HangupCauseCode"]) == ("Caller", "4000")
    assert app.webhooks[-1][0] == "/hangup"
    assert not app.posted("StopStream")
    assert caller.violations == []
    assert caller.close_code == 1000


async def test_webhooks_by_get_keep_the_query_and_hang_up_goes_to_the_answer_url(app: App) -> None:
    line = VobizLine(answer_method="GET", stop_on_hangup=True)
    url = f"{app.base}/answer?t=x%26y"
    async with VobizCaller(answer_url=url, line=line, ticker=ManualTicker()):
        socket = await app.started()
    await socket.closed.wait()
    paths = [(path, method) for path, method, fields, _ in app.webhooks if path == "/answer"]
    assert paths == [("/answer", "GET")] * 2
    assert all(fields["t"] == "x&y" for path, _, fields, _ in app.webhooks if path == "/answer")
    assert socket.of("stop") == [
        {"event": "stop", "streamId": socket.stream_id, "reason": "call_ended"}
    ]


async def test_a_bad_answer_drops_the_call_with_its_cause(app: App) -> None:
    app.stream_attributes = 'bidirectional="true"'
    caller = VobizCaller(answer_url=f"{app.base}/answer", ticker=ManualTicker())
    with pytest.raises(AnswerRejected, match="keepCallAlive"):
        await caller.place()
    assert app.posted("Hangup")[0]["HangupCauseCode"] == "8011"
    assert not app.sockets


async def test_a_refused_socket_is_told_with_its_status(app: App) -> None:
    app.refuse_sockets = True
    caller = VobizCaller(stream_url=app.media_url, ticker=ManualTicker())
    with pytest.raises(WireRefused, match="403") as refused:
        await caller.place()
    assert refused.value.status == 403


async def test_a_server_that_is_not_there_is_told() -> None:
    # Taken, so that nobody else takes it, and not listened on.
    with tcp.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{held.getsockname()[1]}/media"
        with pytest.raises(WireRefused, match="cannot connect"):
            await VobizCaller(stream_url=url, ticker=ManualTicker()).place()


@pytest.mark.parametrize(
    ("content_type", "wire_format"),
    [
        ("audio/x-mulaw;rate=8000", MULAW_8K),
        ("audio/x-l16;rate=8000", l16(8000, "big")),
        ("audio/x-l16;rate=16000", l16(16000, "big")),
        ("audio/x-l16;rate=24000", l16(24000, "big")),
    ],
)
async def test_speech_arrives_sample_by_sample(
    app: App, content_type: str, wire_format: WireFormat
) -> None:
    ticker = ManualTicker()
    pcm = tone(400, 90, rate_hz=wire_format.rate_hz)
    app.stream_attributes = (
        f'bidirectional="true" keepCallAlive="true" contentType="{content_type}"'
    )
    async with VobizCaller(answer_url=f"{app.base}/answer", ticker=ticker) as caller:
        socket = await app.started()
        await drive(ticker, caller, socket, caller.wait(40))
        utterance = await drive(ticker, caller, socket, caller.say(pcm))
    payloads = [base64.b64decode(each["media"]["payload"]) for each in socket.of("media")]
    assert (utterance.start_ms, utterance.end_ms) == (60.0, 140.0)
    sent = wire_format.decode(b"".join(payloads[2:7]))[: pcm.size]
    assert sent.tolist() == wire_format.decode(wire_format.encode(pcm)).tolist()
    assert not np.any(wire_format.decode(payloads[0]))
    start = 40 * wire_format.rate_hz // 1000
    assert caller.said[start : start + pcm.size].tolist() == pcm.tolist()
    assert not caller.said[:start].any()


async def test_replies_are_heard_to_the_sample_with_their_gaps_and_latency(app: App) -> None:
    ticker = ManualTicker()
    caller = VobizCaller(stream_url=app.media_url, ticker=ticker)
    async with caller:
        socket = await app.started()
        await drive(ticker, caller, socket, caller.say(tone(400, 100, rate_hz=8000)))
        ticker.advance(250)
        await socket.play(SPEECH)
        await heard(caller, 1)
        ticker.advance(50)
        await socket.play(SPEECH)
        await heard(caller, 2)
        ticker.advance(100)
    (turn,) = caller.turns()
    assert (turn.end_ms, turn.response_ms) == (100.0, 250.0)
    assert caller.first_audio_ms == 350.0
    assert [(gap.start_ms, gap.length_ms) for gap in caller.gaps()] == [(370.0, 30.0)]
    ear = caller.heard
    expected = MULAW_8K.decode(PACKET).tolist()
    assert ear.size == 4000
    assert ear[2800:2960].tolist() == expected
    assert not ear[2960:3200].any()
    assert ear[3200:3360].tolist() == expected
    assert not ear[3360:].any()


@pytest.mark.parametrize("order", ["big", "little"])
async def test_l16_towards_the_caller_has_its_own_byte_order(app: App, order: str) -> None:
    ticker = ManualTicker()
    pcm = tone(300, 20, rate_hz=16000)
    line = VobizLine(l16_out_order="big" if order == "big" else "little")
    payload = base64.b64encode(pcm.astype(">i2" if order == "big" else "<i2").tobytes())
    async with VobizCaller(stream_url=app.media_url, line=line, ticker=ticker) as caller:
        socket = await app.started()
        await socket.play(payload.decode(), "audio/x-l16", 16000)
        await heard(caller, 1)
        ticker.advance(40)
    assert caller.heard[:320].tolist() == pcm.tolist()
    assert caller.heard.size == 640


async def test_checkpoints_are_acknowledged_when_heard(app: App) -> None:
    ticker = ManualTicker()
    async with VobizCaller(answer_url=f"{app.base}/answer", ticker=ticker) as caller:
        socket = await app.started()
        await socket.play(SECOND)
        await socket.checkpoint("turn-1")
        await until(lambda: caller.log.checkpoints == ["turn-1"])
        ticker.advance(990)
        assert caller.log.played == []
        ticker.advance(10)
        await until(lambda: bool(socket.of("playedStream")))
    assert socket.of("playedStream") == [
        {"event": "playedStream", "streamId": socket.stream_id, "name": "turn-1"}
    ]
    assert app.posted("PlayedStream")[0]["Name"] == "turn-1"


async def test_checkpoints_may_never_be_acknowledged(app: App) -> None:
    ticker = ManualTicker()
    line = VobizLine(ack_checkpoints=False)
    async with VobizCaller(stream_url=app.media_url, line=line, ticker=ticker) as caller:
        socket = await app.started()
        await socket.checkpoint("turn-1")
        await until(lambda: caller.log.checkpoints == ["turn-1"])
        ticker.advance(5000)
    await socket.closed.wait()
    assert not socket.of("playedStream")


async def test_clear_drops_the_buffer_voids_checkpoints_and_is_acknowledged_late(app: App) -> None:
    ticker = ManualTicker()
    line = VobizLine(cleared_latency_ms=60)
    async with VobizCaller(stream_url=app.media_url, line=line, ticker=ticker) as caller:
        socket = await app.started()
        await socket.play(SECOND)
        await socket.checkpoint("void")
        await until(lambda: bool(caller.log.checkpoints))
        ticker.advance(333)
        await socket.clear()
        await until(lambda: bool(caller.playback.clears_ms))
        ticker.advance(47)
        await socket.play(SPEECH)
        await heard(caller, 2)
        assert not socket.of("clearedAudio")
        ticker.advance(20)
        await until(lambda: bool(socket.of("clearedAudio")))
        await socket.play(SPEECH)
        await heard(caller, 3)
        ticker.advance(2000)
    await socket.closed.wait()
    ear = caller.heard
    assert ear[2663] != 0
    assert not ear[2664:3200].any()
    assert ear[3200:3360].tolist() == MULAW_8K.decode(PACKET).tolist()
    assert not socket.of("playedStream")
    assert caller.playback.lost_to_flush_ms == 20.0
    assert [each.text for each in caller.violations] == [
        "playAudio between clearAudio and clearedAudio: it is lost"
    ]
    assert socket.of("clearedAudio") == [
        {"sequenceNumber": 0, "event": "clearedAudio", "streamId": socket.stream_id}
    ]


async def test_stop_closes_loses_what_is_queued_and_is_reported(app: App) -> None:
    ticker = ManualTicker()
    async with VobizCaller(answer_url=f"{app.base}/answer", ticker=ticker) as caller:
        socket = await app.started()
        await socket.play(SECOND)
        await heard(caller, 1)
        ticker.advance(300)
        await socket.stop()
        await caller.wait_ended()
        await socket.closed.wait()
        assert not caller.live
        with pytest.raises(CallClosed):
            await caller.say(tone(400, 20, rate_hz=8000))
    events = [fields.get("Event") for _, _, fields, _ in app.webhooks]
    assert events == ["StartApp", "StartStream", "StopStream", "Hangup"]
    assert app.posted("Hangup")[0]["HangupCauseCode"] == "4010"
    assert app.posted("Hangup")[0]["HangupSource"] == "Vobiz"
    assert caller.log.lost_to_stop_ms == 700.0
    assert caller.heard.size == 2400


async def test_a_dropped_stream_ends_the_call_or_is_retried_with_a_new_stream_id(app: App) -> None:
    ticker = ManualTicker()
    app.stream_attributes += ' maxRetries="1"'
    async with VobizCaller(answer_url=f"{app.base}/answer", ticker=ticker) as caller:
        first = await app.started()
        await first.play(SECOND)
        await heard(caller, 1)
        ticker.advance(100)
        await first.ws.close(code=1011)
        second = await app.started(1)
        assert caller.live
        assert second.stream_id != first.stream_id
        assert second.of("start")[0]["start"]["callId"] == caller.call_id
        await second.ws.close(code=1011)
        await caller.wait_ended()
    assert len(app.posted("DroppedStream")) == 2
    assert len(app.posted("Hangup")) == 1
    assert caller.close_code == 1011
    assert caller.heard.size == 800
    assert caller.heard[:800].any()


async def test_a_reconnect_is_a_new_stream_of_the_same_call(app: App) -> None:
    ticker = ManualTicker()
    async with VobizCaller(stream_url=app.media_url, ticker=ticker) as caller:
        first = await app.started()
        await caller.reconnect()
        await first.closed.wait()
        second = await app.started(1)
        assert second.stream_id == caller.stream_id != first.stream_id
        await second.send(
            event="playAudio",
            streamId=first.stream_id,
            media={"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": SPEECH},
        )
        await until(lambda: bool(caller.violations))
        assert caller.live
    assert caller.violations[0].text == "PlayAudio: streamId of another stream"
    assert caller.packets_received == 0


async def test_the_port_is_that_of_the_socket_in_use(app: App) -> None:
    caller = VobizCaller(stream_url=app.media_url, ticker=ManualTicker())
    assert caller.local_port == 0
    async with caller:
        for number in range(2):
            socket = await app.started(number)
            assert caller.local_port == socket.ws.get_extra_info("peername")[1]
            await caller.reconnect()


async def test_how_much_was_sent_by_an_instant(app: App) -> None:
    ticker = ManualTicker()
    async with VobizCaller(stream_url=app.media_url, ticker=ticker) as caller:
        socket = await app.started()
        instants = [time.monotonic()]
        for _ in range(2):
            await drive(ticker, caller, socket, caller.wait(60))
            instants.append(time.monotonic())
        assert [caller.packets_sent_by(at) for at in instants] == [0, 3, 6]


async def test_media_may_come_before_start_and_start_twice(app: App) -> None:
    line = VobizLine(media_before_start=3)
    async with VobizCaller(stream_url=app.media_url, line=line, ticker=ManualTicker()) as caller:
        socket = await app.started()
        assert [each["event"] for each in socket.messages] == ["media"] * 3 + ["start"]
        caller.send_start_again()
        await until(lambda: len(socket.of("start")) == 2)
    assert socket.of("start")[0] == socket.of("start")[1]


async def test_keys_garbage_and_binary_are_sent_as_they_are(app: App) -> None:
    async with VobizCaller(stream_url=app.media_url, ticker=ManualTicker()) as caller:
        socket = await app.started()
        caller.press("5#")
        caller.send_raw("[]")
        caller.send_binary(b"\x00\xff")
        await until(lambda: bool(socket.binary))
    first, second = socket.of("dtmf")
    assert first["dtmf"]["digit"] == "5"
    assert first["dtmf"]["track"] == "inbound"
    assert first["streamId"] == socket.stream_id
    assert second["dtmf"]["digit"] == "#"
    assert socket.texts[-1] == "[]"
    assert socket.binary == [b"\x00\xff"]
    assert caller.keys == [(0.0, "5"), (0.0, "#")]


async def test_invalid_utf8_can_be_sent_and_the_close_that_follows_is_seen(app: App) -> None:
    async with VobizCaller(stream_url=app.media_url, ticker=ManualTicker()) as caller:
        await app.started()
        caller.send_raw(b"\xff\xfe")
        await caller.wait_ended()
    assert caller.close_code == 1007


@pytest.mark.parametrize("abort", [False, True])
async def test_the_line_may_be_closed_or_cut(app: App, abort: bool) -> None:
    caller = VobizCaller(stream_url=app.media_url, ticker=ManualTicker())
    await caller.place()
    socket = await app.started()
    await caller.hang_up(close_code=1001, abort=abort)
    await socket.closed.wait()
    assert socket.ws.close_code == (1006 if abort else 1001)
    await caller.hang_up()


async def test_a_vanished_caller_neither_sends_nor_reads(app: App) -> None:
    ticker = ManualTicker()
    caller = VobizCaller(stream_url=app.media_url, ticker=ticker)
    await caller.place()
    socket = await app.started()
    caller.vanish()
    ticker.advance(1000)
    await socket.play(SPEECH)
    async with VobizCaller(stream_url=app.media_url, ticker=ticker) as witness:
        await (await app.started(1)).play(SPEECH)
        await heard(witness, 1)
    assert caller.packets_received == 0
    with pytest.raises(CallTimeout):
        task = asyncio.ensure_future(caller.wait_for_speech(100))
        await asyncio.sleep(0)
        ticker.advance(200)
        await task
    assert not socket.of("media")
    assert not socket.closed.is_set()
    await caller.hang_up(abort=True)


async def test_a_line_may_repeat_packets_and_hiss(app: App) -> None:
    ticker = ManualTicker()
    async with VobizCaller(
        stream_url=app.media_url,
        ticker=ticker,
        impairment=Repeat(2),
        background=noise(60, rate_hz=8000, level_dbfs=-45),
    ):
        socket = await app.started()
        ticker.advance(120)
        await until(lambda: len(socket.of("media")) == 9)
    media = socket.of("media")
    assert [each["sequenceNumber"] for each in media] == [1, 2, 2, 3, 4, 4, 5, 6, 6]
    payloads = [each["media"]["payload"] for each in media]
    assert len(set(payloads)) == 3
    assert payloads[0] == payloads[4]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("RTVI", "not JSON"),
        ('{"event":"mark","streamId":"x"}', "not a message of this protocol"),
        ('{"event":"clearAudio"}', "missing required field `streamId`"),
    ],
)
async def test_violations_are_collected(app: App, message: str, words: str) -> None:
    async with VobizCaller(stream_url=app.media_url, ticker=ManualTicker()) as caller:
        socket = await app.started()
        await socket.ws.send_str(message)
        await socket.ws.send_bytes(b"1234")
        await until(lambda: len(caller.violations) == 2)
        assert caller.live
    assert words in caller.violations[0].text
    assert caller.violations[1].text == "a binary message of 4 bytes"


async def test_listening_ends_when_the_agent_has_been_silent_for_long_enough(app: App) -> None:
    ticker = ManualTicker()
    async with VobizCaller(stream_url=app.media_url, ticker=ticker) as caller:
        socket = await app.started()
        await socket.play(SECOND)
        await heard(caller, 1)
        reply = await drive(ticker, caller, socket, caller.listen_until_quiet(500))
        assert (reply.start_ms, reply.end_ms) == (0.0, 1000.0)
        assert caller.now_ms == 1500.0
        with pytest.raises(CallTimeout, match="the reply and its end"):
            await drive(ticker, caller, socket, caller.listen_until_quiet(500, 1000))
        listening = asyncio.ensure_future(caller.listen_until_quiet(500, 60_000))
        await asyncio.sleep(0)
        await socket.ws.close()
        with pytest.raises(CallClosed, match="ended"):
            await listening


async def test_many_messages_in_real_time_at_twenty_times_the_speed() -> None:
    async def echo(socket: Socket, message: dict[str, Any]) -> None:
        if message["event"] == "media":
            await socket.play(message["media"]["payload"])

    async with App(on_message=echo) as app:
        ticker = RealTicker(speed=20)
        async with VobizCaller(stream_url=app.media_url, ticker=ticker) as caller:
            await caller.say(tone(400, 2000, rate_hz=8000))
            await until(lambda: caller.packets_received >= 100)
    assert caller.turns()[0].response_ms is not None
    assert caller.violations == []
    # What was on its way when the caller hung up may be lost.
    numbers = [each["sequenceNumber"] for each in (await app.socket()).of("media")]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 100
