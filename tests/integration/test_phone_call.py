"""A phone call from the answer webhook to the stored record, as the carrier makes it."""

import asyncio
import io
import wave

import numpy as np
import pytest

from config.agent import AgentConfig
from sessions import metrics
from simulators.caller.codec import MULAW_8K, l16
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_line import VobizLine
from simulators.speech import Speech
from tests.integration.server import BUSY_SECONDS, RunningServer, faults
from tests.integration.stillness import watched


def call(server: RunningServer, speech: Speech, **options: object) -> VobizCaller:
    """A caller of the test agent."""
    return VobizCaller(
        answer_url=f"{server.http}/answer?agent_id=brisk",
        hangup_url=f"{server.http}/hangup",
        speech=speech,
        **options,  # type: ignore[arg-type]
    )


async def test_a_call_is_answered_served_and_kept(server: RunningServer, speech: Speech) -> None:
    caller = call(server, speech)
    with watched() as stood_still:
        async with caller:
            await caller.listen_until_quiet(500, 10_000)
            await caller.say("what are your opening hours")
            await caller.listen_until_quiet(500, 10_000)
            await caller.say("goodbye")
            await caller.wait_ended()
    assert caller.violations == []
    assert [gap for gap in caller.gaps() if gap.length_ms > stood_still.longest_ms] == []
    assert len(caller.replies()) == 3
    record = await server.one_record()
    assert record["end_cause"] == "agent_hangup"
    assert record["carrier_call_id"] == caller.call_id
    assert record["direction"] == "inbound"
    assert record["from_number"] and record["to_number"]
    assert [turn["turn"] for turn in record["turns"]] == [1, 2]
    assert all(0 < turn["response_ms"] < 3000 + BUSY_SECONDS * 1000 for turn in record["turns"])
    assert faults(record) == []
    assert record["vendors"] == {"stt": ["offline"], "llm": ["script"], "tts": ["espeak"]}


async def test_the_transcript_holds_what_was_heard(server: RunningServer, speech: Speech) -> None:
    caller = call(server, speech)
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
        await caller.say("tell me a long story")
        await caller.wait_for_speech()
        await caller.wait(1500)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(700, 15_000)
    record = await server.one_record()
    text = server.stored(record["transcript_text"]).decode()
    assert "Welcome to the test line." in text
    assert "user: tell me a long story" in text
    assert "Once upon a time" in text
    assert "every crop had its own season" not in text
    assert "We open at nine." in text
    assert record["interruptions"] == 1
    assert record["end_cause"] == "caller_hangup"


async def test_the_recording_is_stereo_and_sounds_like_the_call(
    server: RunningServer, speech: Speech
) -> None:
    caller = call(server, speech)
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(500, 10_000)
    record = await server.one_record()
    with wave.open(io.BytesIO(server.stored(record["recording"]["file"]))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    left, right = samples[:, 0].astype(float), samples[:, 1].astype(float)
    assert energy(left) == _near(energy(caller.said.astype(float)))
    assert energy(right) == _near(energy(caller.heard.astype(float)))
    assert len(samples) / 8 == _near(caller.duration_ms, 0.05)


async def test_keys_are_answered_and_cut_the_agent_off(
    server: RunningServer, speech: Speech
) -> None:
    caller = call(server, speech)
    async with caller:
        await caller.wait_for_speech()
        caller.press("1")
        await caller.listen_until_quiet(500, 10_000)
        caller.press("9")
        await caller.wait_ended()
    record = await server.one_record()
    text = server.stored(record["transcript_text"]).decode()
    assert "You pressed one." in text and "Bye." in text
    assert record["interruptions"] >= 1


async def test_linear_audio_in_both_byte_orders(server: RunningServer, speech: Speech) -> None:
    caller = VobizCaller(
        stream_url=f"{server.ws}/voice/brisk", wire_format=l16(16000, "big"), speech=speech
    )
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(500, 10_000)
    assert len(caller.replies()) == 2
    record = await server.one_record()
    assert record["recording"]["rate_hz"] == 16000
    assert "We open at nine." in server.stored(record["transcript_text"]).decode()


async def test_media_before_start_is_not_lost(server: RunningServer, speech: Speech) -> None:
    caller = call(server, speech, line=VobizLine(media_before_start=10), wire_format=MULAW_8K)
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
    record = await server.one_record()
    assert record["recording"]["caller_ms"] >= caller.packets_sent * 20 - 100


async def test_a_burst_before_start_does_not_make_the_callers_side_late(
    server: RunningServer, speech: Speech
) -> None:
    """What waited in the carrier was spoken before it came."""
    caller = call(server, speech, line=VobizLine(media_before_start=90), wire_format=MULAW_8K)
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
    record = await server.one_record()
    assert record["recording"]["caller_ms"] >= caller.packets_sent * 20 - 100
    # A leg that is laid late is longer than the call was.
    assert record["recording"]["duration_ms"] <= record["duration_seconds"] * 1000 + 200


async def test_more_than_is_held_before_start_is_counted(
    server: RunningServer, speech: Speech
) -> None:
    counted = metrics.QUEUE_DROPPED.labels("held")._value
    before = counted.get()
    caller = call(server, speech, line=VobizLine(media_before_start=130), wire_format=MULAW_8K)
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
    assert counted.get() - before == 30
    record = await server.one_record()
    assert record["recording"]["caller_ms"] >= caller.packets_sent * 20 - 30 * 20 - 100


async def test_both_legs_keep_their_time_where_the_agent_is_found_late(
    server: RunningServer, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller's line sent meanwhile is laid when it came, not behind the beginning."""
    agents = server.parts.directory
    find = agents.find
    waited: list[float] = []

    async def find_late(agent_id: str) -> AgentConfig | None:
        if server.parts.manager.active == 0 and server.parts.expected.waiting:
            waited.append(0.8)
            await asyncio.sleep(0.8)
        return await find(agent_id)

    monkeypatch.setattr(agents, "find", find_late)
    caller = call(server, speech, wire_format=MULAW_8K)
    async with caller:
        await caller.listen_until_quiet(500, 10_000)
    record = await server.one_record()
    assert waited, "the stream did not wait for its agent"
    # A leg that is laid late is longer than the call was.
    assert record["recording"]["duration_ms"] <= record["duration_seconds"] * 1000 + 200


async def test_junk_on_the_wire_never_ends_a_call(server: RunningServer, speech: Speech) -> None:
    caller = call(server, speech)
    async with caller:
        await caller.wait_for_speech()
        for junk in (b"[]", b"{", b'{"event":"media"}', b'{"event":1e999}', b"\xff\xfe", b"null"):
            caller.send_raw(junk)
        caller.send_binary(b"\x00\x01\x02")
        caller.send_start_again()
        await caller.listen_until_quiet(500, 10_000)
        await caller.say("what are your opening hours")
        await caller.listen_until_quiet(500, 10_000)
        assert len(caller.replies()) == 2


def energy(samples: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Sum of squares."""
    return float(np.sum(np.square(samples)))


class _near:
    """Equal to within a share of itself."""

    def __init__(self, value: float, share: float = 0.1) -> None:
        self.value, self.share = value, share

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(other - self.value) <= self.share * self.value

    def __repr__(self) -> str:
        return f"{self.value} ± {self.share:.0%}"
