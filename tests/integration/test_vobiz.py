"""What Vobiz does and leaves undone in a call, and what becomes of it here."""

import asyncio
import wave
import xml.etree.ElementTree as ElementTree
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from bot.phrases import PhraseCache
from sessions import session as session_module
from simulators.caller.codec import MULAW_8K, PACKET_MS, l16
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.caller.vobiz_line import VobizLine
from simulators.caller.vobiz_stream import MediaStream
from simulators.caller.wire import WireRefused, open_wire
from simulators.speech import Speech
from tests.integration.server import BRISK_AGENT, BUSY_SECONDS, RunningServer, running_server


async def post(server: RunningServer, path: str, **fields: str) -> int:
    async with aiohttp.ClientSession() as http, http.post(server.http + path, data=fields) as told:
        return told.status


# The end of a call


async def farewell(server: RunningServer, speech: Speech, line: VobizLine) -> VobizCaller:
    caller = server.phone(speech, line=line)
    async with caller:
        await caller.listen_until_quiet(400, 10_000)
        await caller.say("goodbye")
        await caller.wait_ended()
    assert caller.log.lost_to_stop_ms == 0
    assert caller.violations == []
    assert caller.close_reason == "the application sent stop"
    assert len(caller.replies()) == 2
    return caller


async def test_the_farewell_is_heard_before_stop(server: RunningServer, speech: Speech) -> None:
    acked, mute = await asyncio.gather(
        farewell(server, speech, VobizLine()),
        farewell(server, speech, VobizLine(ack_checkpoints=False)),
    )
    assert acked.log.played and not mute.log.played
    assert acked.duration_ms < 10_000 + BUSY_SECONDS * 1000
    assert mute.duration_ms < 12_000 + BUSY_SECONDS * 1000
    await server.parts.manager.settled()
    assert {record["end_cause"] for record in server.records()} == {"agent_hangup"}


async def flushed(server: RunningServer, speech: Speech, latency_ms: float | None) -> float:
    """How long the answer takes to come after the caller broke in."""
    caller = server.phone(speech, line=VobizLine(cleared_latency_ms=latency_ms))
    async with caller:
        await caller.listen_until_quiet(400, 10_000)
        await caller.say("tell me a long story")
        await caller.wait_for_speech()
        await caller.wait(800)
        pressed_ms = caller.now_ms
        clears = len(caller.playback.clears_ms)
        caller.press("1")
        await caller.until(lambda: len(caller.playback.clears_ms) > clears, 10_000, "clearAudio")
        cleared_ms = caller.playback.clears_ms[-1]
        await caller.until(
            lambda: caller.playback.first_audible_after(cleared_ms) is not None,
            10_000,
            "the answer",
        )
        first_ms = caller.playback.first_audible_after(cleared_ms)
    assert caller.violations == []
    assert first_ms is not None
    return first_ms - pressed_ms


async def test_new_audio_waits_for_the_flush_but_not_for_ever(
    server: RunningServer, speech: Speech
) -> None:
    quick_ms, never_ms = await asyncio.gather(
        flushed(server, speech, 40.0), flushed(server, speech, None)
    )
    # Side by side: a busy machine makes both late.
    assert quick_ms < never_ms
    assert 900 <= never_ms < 2500 + BUSY_SECONDS * 1000


async def test_the_carriers_last_word_is_kept_once(server: RunningServer, speech: Speech) -> None:
    caller = server.phone(speech)
    async with caller:
        await caller.wait_for_speech()
    manager = server.parts.manager
    hangups: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while not hangups:  # The carrier tells in its own time.
            await asyncio.sleep(0.02)
            record = await server.one_record()
            hangups = [n for n in record["notices"] if n["name"] == "hangup"]
    assert len(hangups) == 1
    assert "HangupCauseName=Normal Hangup" in hangups[0]["detail"]
    assert "stream:StartStream" in {n["name"] for n in record["notices"]}
    # Late, twice, and with something else in between.
    late = {"CallUUID": caller.call_id, "Event": "Hangup", "HangupCauseName": "Late"}
    for path in ("/hangup", "/hangup", "/answer"):
        assert await post(server, path, **late) == 204
    await manager.settled()
    assert await post(server, "/hangup", **late) == 204
    await manager.settled()
    record = await server.one_record()
    details = [n["detail"] for n in record["notices"] if n["name"] == "hangup"]
    assert details == [hangups[0]["detail"], "HangupCauseName=Late"]
    assert caller.log.webhook_failures == []


async def test_the_hangup_webhook_ends_a_call_whose_socket_stays_open(
    server: RunningServer, speech: Speech
) -> None:
    caller = server.phone(speech)
    async with caller:
        await caller.wait_for_speech()
        for _ in range(3):
            news = {"CallUUID": caller.call_id, "Event": "DegradedStream", "Error": "bad line"}
            assert await post(server, "/stream-status", **news) == 204
        assert await post(server, "/hangup", CallUUID=caller.call_id, Event="Hangup") == 204
        await caller.wait_ended()
        assert caller.duration_ms < 4000 + BUSY_SECONDS * 1000
    record = await server.one_record()
    assert record["end_cause"] == "caller_hangup"
    notices = [(n["name"], n["detail"]) for n in record["notices"]]
    assert notices.count(("stream:DegradedStream", "Error=bad line")) == 1


async def test_a_hangup_that_is_told_before_its_stream_ends_costs_no_sound(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However late a busy machine has the stream end.
    monkeypatch.setattr(session_module, "HANGUP_SECONDS", 10.0)
    caller = server.phone(speech)
    async with caller:
        await caller.wait_for_speech()
        assert await post(server, "/hangup", CallUUID=caller.call_id, Event="Hangup") == 204
        told_at_packets = caller.packets_sent
        await caller.wait(400)
        await caller.hang_up()
        assert caller.packets_sent > told_at_packets + 15
    record = await server.one_record()
    assert record["end_cause"] == "caller_hangup"
    assert record["recording"]["caller_ms"] >= (caller.packets_sent - 1) * PACKET_MS


class Deaf:
    """Whose stream it is, and who listens to nothing but its end."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def stream_text(self, stream: MediaStream, data: bytes) -> None:
        pass

    def stream_binary(self, stream: MediaStream, data: bytes) -> None:
        pass

    def stream_closed(self, stream: MediaStream, code: int, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


async def test_a_caller_who_hangs_up_while_the_stream_opens_is_one_call(
    server: RunningServer,
) -> None:
    """The hangup webhook overtakes ``start`` on the socket that is already open."""
    stream = MediaStream(Deaf(), "early-1", "MA", MULAW_8K)
    form = {"CallUUID": "early-1", "From": "09812345678", "To": "911140000000"}
    assert await post(server, "/answer", **form, Event="StartApp") == 200
    await stream.connect(f"{server.ws}/voice/brisk", timeout_seconds=10)
    assert await post(server, "/hangup", CallUUID="early-1", HangupCauseName="Gone") == 204
    stream.send_start()
    await server.until(lambda: server.parts.manager.active)
    await server.until(lambda: not server.parts.manager.active)
    server.parts.expected.close()  # Nothing is waited for: it would be missed now.
    record = await server.one_record()
    assert record["end_cause"] == "caller_hangup"
    assert record["from_number"] == "+919812345678"
    notices = [(n["name"], n["detail"]) for n in record["notices"]]
    assert notices == [("hangup", "HangupCauseName=Gone")]


async def test_a_call_that_has_ended_is_no_longer_promised_a_line(
    server: RunningServer, speech: Speech
) -> None:
    """A server that stops takes the calls that it has answered, not those it has served."""
    caller = server.phone(speech)
    async with caller:
        await caller.wait_for_speech()
    await server.until(lambda: not server.parts.manager.active)
    # The door is open for this one, and so for whoever has not said yet who it is.
    assert await post(server, "/answer", CallUUID="promised-1", Event="StartApp") == 200
    server.parts.manager.draining = True
    again, promised = Deaf(), Deaf()
    for owner, call_id in ((again, caller.call_id), (promised, "promised-1")):
        stream = MediaStream(owner, call_id, "MA", MULAW_8K)
        await stream.connect(f"{server.ws}/voice/brisk", timeout_seconds=10)
        stream.send_start()
        if owner is again:
            async with asyncio.timeout(30):
                assert await again.ended == "draining"
    await server.until(lambda: server.parts.manager.find("promised-1"))
    assert not promised.ended.done()
    for session in server.parts.manager:
        session.end("drained")
    await server.parts.manager.settled()
    told = [record["carrier_call_id"] for record in server.records()]
    assert told == [caller.call_id, "promised-1"]


async def test_news_of_unknown_calls_is_taken_and_forgotten(server: RunningServer) -> None:
    for path in ("/hangup", "/stream-status", "/answer"):
        assert await post(server, path, CallUUID="who", Event="Hangup") == 204
        assert await post(server, path, Event="Hangup", CallUUID="") == 204
    assert await post(server, "/answer", CallUUID="who", Event="Ring") == 204
    many = {f"field{i}": "x" for i in range(500)}
    assert await post(server, "/hangup", **many) == 204
    assert await post(server, "/hangup", CallUUID="x" * 100_000) == 204
    await server.parts.manager.settled()
    assert server.records() == []


# The wire


async def test_starts_that_repeat_and_contradict(server: RunningServer, speech: Speech) -> None:
    caller = server.phone(speech)
    async with caller:
        await caller.wait_for_speech()
        caller.send_start_again()
        await caller.wait(200)
        assert caller.live
        other = {"callId": caller.call_id, "streamId": "another"}
        caller.send_raw(msgspec.json.encode({"event": "start", "start": other}))
        await caller.wait_ended()
    assert caller.close_code == 1008
    assert caller.close_reason == "wire_error"
    assert (await server.one_record())["end_cause"] == "wire_error"


async def test_a_live_call_goes_on_over_a_second_stream(
    server: RunningServer, speech: Speech
) -> None:
    caller = server.phone(speech)
    async with caller:
        await caller.listen_until_quiet(300, 10_000)
        await caller.reconnect(close_old=False)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(400, 10_000)
        assert caller.live and server.parts.manager.active == 1
        await caller.reconnect(close_old=False)
        last_stream = caller.stream_id
        await caller.say("goodbye")
        await caller.wait_ended()
    assert caller.violations == []
    record = await server.one_record()
    assert record["end_cause"] == "agent_hangup"
    replaced = [n["detail"] for n in record["notices"] if n["name"] == "stream_replaced"]
    assert len(replaced) == 2 and last_stream in replaced[1]
    text = server.stored(record["transcript_text"]).decode()
    # One conversation: the greeting once, and all that was said on all three streams.
    assert text.count("Welcome") == 1
    assert "We open at nine." in text and "Goodbye, and thank you." in text
    assert record["recording"]["agent_ms"] > 3000


async def test_a_stream_that_is_not_like_the_first_gets_a_record_of_its_own(
    server: RunningServer, speech: Speech
) -> None:
    caller = VobizCaller(stream_url=f"{server.ws}/voice/brisk", speech=speech)
    async with caller:
        await caller.listen_until_quiet(300, 10_000)
        first_stream = caller.stream_id
        other = VobizCaller(
            stream_url=f"{server.ws}/voice/brisk",
            speech=speech,
            call_id=caller.call_id,
            wire_format=l16(16000, "big"),
        )
        async with other:
            second_stream = other.stream_id
            await server.until(lambda: server.parts.manager.active == 1)
            await other.listen_until_quiet(300, 10_000)
            await other.say("what are your opening hours")
            await other.listen_until_quiet(400, 10_000)
    await server.parts.manager.settled()
    first, second = server.records()
    assert first["session_id"] != second["session_id"]
    assert first["carrier_call_id"] == second["carrier_call_id"] == caller.call_id
    assert (first["carrier_stream_id"], second["carrier_stream_id"]) == (
        first_stream,
        second_stream,
    )
    assert first["end_cause"] == "peer_lost"
    assert "stream_replaced" in {n["name"] for n in first["notices"]}
    texts = [server.stored(r["transcript_text"]).decode() for r in (first, second)]
    assert "We open at nine." not in texts[0] and "We open at nine." in texts[1]
    assert len({r["recording"]["file"]["key"] for r in (first, second)}) == 2


async def test_a_caller_who_is_gone_without_a_word(tmp_path: Path, speech: Speech) -> None:
    async with running_server(
        tmp_path / "s", {"brisk": BRISK_AGENT}, {"DEFAULT_AGENT": "brisk"}, ping_seconds=0.4
    ) as server:
        caller, client = server.phone(speech), server.program(speech)
        await asyncio.gather(caller.place(), client.place())
        await asyncio.gather(caller.wait_for_speech(), client.wait_for_speech())
        caller.vanish()
        client.vanish()
        await server.until(lambda: server.parts.manager.active == 0)
        await server.parts.manager.settled()
        assert [record["end_cause"] for record in server.records()] == ["peer_lost"] * 2
        await asyncio.gather(caller.hang_up(abort=True), client.hang_up(abort=True))


async def test_a_caller_who_hangs_up_in_the_greeting(tmp_path: Path, speech: Speech) -> None:
    # So long that nobody hears its end before they hang up, however late that is.
    greeting = f"Welcome to the test line, {'where one thing is tried after another, ' * 5}for you."

    async def call(**how: Any) -> VobizCaller:
        caller = server.phone(speech)
        await caller.place()
        await caller.wait_for_speech()
        await caller.wait(700)
        await caller.hang_up(**how)
        return caller

    wordy = {**BRISK_AGENT, "greeting": greeting}
    async with running_server(
        tmp_path / "s", {"brisk": wordy}, {"DEFAULT_AGENT": "brisk"}
    ) as server:
        callers = await asyncio.gather(call(), call(abort=True), call(close_code=1001))
        await server.parts.manager.settled()
        records = {record["carrier_call_id"]: record for record in server.records()}
        assert len(records) == 3
        for caller in callers:
            record = records[caller.call_id]
            assert record["end_cause"] == "caller_hangup"
            assert record["recording"]["state"] == "stored"
            assert 500 < record["recording"]["agent_ms"] < caller.duration_ms + 500
            assert record["interruptions"] == 0
            text = server.stored(record["transcript_text"]).decode()
            assert "Welcome" in text and "for you." not in text


# Before the call


async def test_a_call_that_never_starts(server: RunningServer, speech: Speech) -> None:
    built: list[str] = []
    server.parts.reception.start_seconds = 0.2

    class Silent:
        def __init__(self) -> None:
            self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def text_received(self, data: bytes) -> None:
            built.append("text")

        def binary_received(self, data: bytes) -> None:
            built.append("binary")

        def closed(self, code: int, reason: str) -> None:
            self.code.set_result(code)

    form = {"CallUUID": "never-1", "From": "09812345678", "To": "911140000000"}
    assert await post(server, "/answer", **form, Event="StartApp") == 200
    silent = Silent()
    await open_wire(f"{server.ws}/voice/brisk", silent)
    async with asyncio.timeout(30):
        assert await silent.code == 1008
    assert server.parts.manager.active == 0
    assert await post(server, "/hangup", CallUUID="never-1", HangupCauseName="Gone") == 204
    await server.until(server.records)
    record = await server.one_record()
    assert record["end_cause"] == "no_start"
    assert record["carrier_call_id"] == "never-1"
    assert record["from_number"] == "+919812345678"
    assert record["recording"]["state"] in ("empty", "off")
    assert [(n["name"], n["detail"]) for n in record["notices"]] == [
        ("hangup", "HangupCauseName=Gone")
    ]
    assert len(server.parts.manager.ringing) == 0
    assert built == []


async def test_full_and_draining_are_told_in_the_agents_language(
    tmp_path: Path, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    hindi = {**BRISK_AGENT, "language": "hi", "greeting": "नमस्ते।"}
    env = {"DEFAULT_AGENT": "brisk", "MAX_CONNECTIONS": "1"}
    async with running_server(tmp_path / "s", {"brisk": BRISK_AGENT, "hindi": hindi}, env) as it:
        caller = it.phone(speech)
        async with caller:
            await caller.wait_for_speech()
            for agent, language, word in (("brisk", "en-IN", "busy"), ("hindi", "hi-IN", "व्यस्त")):
                await _is_played(it, agent)
                monkeypatch.setattr(PhraseCache, "wire", lambda *_: None)
                speak = await _xml(it, f"/answer?agent_id={agent}")
                assert [child.tag for child in speak] == ["Speak", "Hangup"]
                assert speak[0].get("language") == language
                assert word in (speak[0].text or "")
                monkeypatch.undo()
            with pytest.raises(AnswerRejected):
                await it.phone(speech).place()
            late = VobizCaller(stream_url=f"{it.ws}/voice/brisk", speech=speech)
            with pytest.raises(WireRefused) as refusal:
                await late.place()
            assert refusal.value.status == 503
            assert caller.live
            caller.press("1")
            await caller.wait_for_speech()
        await it.parts.manager.settled()
        it.parts.manager.draining = True
        await _is_played(it, "brisk")
        async with aiohttp.ClientSession(it.http) as http:
            for path in ("/phrases/nobody/busy.wav", "/phrases/brisk/greeting.wav"):
                async with http.get(path) as answer:
                    assert answer.status == 404


async def _is_played(server: RunningServer, agent: str) -> None:
    """The carrier is told to play a busy phrase, and gets it from us."""
    await server.parts.phrases.prepared(agent)
    play = await _xml(server, f"/answer?agent_id={agent}")
    assert [child.tag for child in play] == ["Play", "Hangup"]
    async with aiohttp.ClientSession() as http, http.get(play[0].text or "") as answer:
        assert (answer.status, answer.content_type) == (200, "audio/wav")
        with wave.open(BytesIO(await answer.read())) as sound:
            assert (sound.getframerate(), sound.getnchannels()) == (8000, 1)
            assert sound.getnframes() > 8000


async def _xml(server: RunningServer, path: str) -> ElementTree.Element:
    async with aiohttp.ClientSession() as http, http.get(server.http + path) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/xml"
        return ElementTree.fromstring(await answer.read())


async def test_calls_by_get_and_for_the_number_that_was_dialled(
    tmp_path: Path, speech: Speech
) -> None:
    numbered = {**BRISK_AGENT, "greeting": "Second agent.", "phone_numbers": ["+911140000077"]}
    agents = {"brisk": BRISK_AGENT, "numbered": numbered}
    async with running_server(tmp_path / "s", agents, {"DEFAULT_AGENT": "brisk"}) as it:

        async def call(line: VobizLine) -> None:
            caller = VobizCaller(answer_url=f"{it.http}/answer", speech=speech, line=line)
            async with caller:
                await caller.wait_for_speech()
            assert caller.violations == []
            assert caller.log.webhook_failures == []

        await call(VobizLine(answer_method="GET", to_number="01140000077"))
        await call(VobizLine(to_number="911140000077", direction="inbound"))
        await call(VobizLine(from_number="911140000077", direction="outbound"))
        await call(VobizLine(answer_method="GET"))
        await it.parts.manager.settled()
        served = [record["agent_id"] for record in it.records()]
        assert served == ["numbered", "numbered", "numbered", "brisk"]
        assert it.records()[2]["direction"] == "outbound"
