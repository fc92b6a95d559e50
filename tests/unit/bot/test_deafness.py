"""Whole calls whose recogniser fails: one answer to what was said, or an honest end."""

import asyncio
from pathlib import Path

import pytest
from pipecat.utils.errors import ErrorCategory

from bot.events import CallerTranscript, Degraded
from serializer.codecs import MULAW_8K
from tests.unit.bot.agents import Call, make_agent, make_call
from tests.unit.bot.fake_services import FakeSTT
from tests.virtual_time import running_loop, virtual_time

GREETING = "Welcome to the line."
APOLOGY = "Sorry, we cannot hear you."
SILENCE = MULAW_8K.silence(40)


async def hears(call: Call, seconds: float) -> None:
    for _ in range(round(seconds / 0.04)):
        await call.bot.hear(SILENCE)
        await asyncio.sleep(0.04)


async def drop(call: Call) -> None:
    await call.stt.push_error("the socket is gone", category=ErrorCategory.CONNECTIVITY)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Not empty: the recogniser cannot be reached any more."""
    state: list[bool] = []
    setup = FakeSTT.setup

    async def refusing(self: FakeSTT, given: object) -> None:
        await setup(self, given)  # type: ignore[arg-type]
        if state:
            await self.push_error("refused", category=ErrorCategory.CONNECTIVITY)

    monkeypatch.setattr(FakeSTT, "setup", refusing)
    return state


@virtual_time
async def test_an_utterance_that_two_connections_heard_is_one_turn(tmp_path: Path) -> None:
    async with make_call(make_agent(), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_starts()
        await hears(call, 1)
        first = call.stt
        await first.heard("i would like")
        await drop(call)
        await hears(call, 0.4)
        await call.user_stops()
        assert call.stt is not first
        # Long after the turn would have ended with the first half alone.
        await hears(call, 1.5)
        assert call.llm.asked == []
        await call.stt.heard("two tickets")
        await asyncio.sleep(10)
        assert call.llm.asked == [[{"role": "user", "content": "i would like two tickets"}]]
        assert len([e for e in call.of(CallerTranscript) if e.final]) == 2


@virtual_time
@pytest.mark.parametrize("late_seconds", [1.0, 2.7])
async def test_a_late_text_is_still_one_turn(tmp_path: Path, late_seconds: float) -> None:
    async with make_call(make_agent(), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_starts()
        await hears(call, 1)
        await call.user_stops()
        # A half-open socket: after 1.4 s a new connection is asked.
        await asyncio.sleep(late_seconds)
        await call.stt.heard("two tickets")
        await asyncio.sleep(10)
        assert call.llm.asked == [[{"role": "user", "content": "two tickets"}]]
        assert len(call.spoken()) == 1


@virtual_time
async def test_a_text_behind_the_end_of_its_turn_is_a_turn_of_its_own(tmp_path: Path) -> None:
    async with make_call(make_agent(), tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_starts()
        await hears(call, 0.3)
        await call.user_stops()
        await asyncio.sleep(12)
        await call.stt.heard("yes")
        await asyncio.sleep(10)
        assert call.llm.asked == [[{"role": "user", "content": "yes"}]]


@virtual_time
@pytest.mark.parametrize(
    "targets, end",
    [
        ({}, ("provider_failed", None)),
        ({"desk": "+911234567890", "boss": "+911234567891"}, ("transferred", "desk")),
    ],
)
async def test_a_call_that_nobody_hears_ends_within_eight_seconds_with_an_apology(
    tmp_path: Path, unreachable: list[bool], targets: dict[str, str], end: tuple[str, str | None]
) -> None:
    agent = make_agent(call={"apology": APOLOGY, "transfer_to": targets})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        unreachable.append(True)
        failed_at = running_loop().time()
        await drop(call)
        while not call.ends:
            await hears(call, 0.2)
        assert running_loop().time() - failed_at <= 8.0
        assert call.ends == [end]
        assert call.spoken()[-1] == (APOLOGY, False)
        kinds = [(event.kind, event.provider) for event in call.of(Degraded)]
        assert kinds[0] == ("dropped", "fake")
        assert kinds[-1] == ("exhausted", None)
        await hears(call, 10)
        assert call.ends == [end]


@virtual_time
async def test_the_apology_does_not_wait_for_a_long_answer(
    tmp_path: Path, unreachable: list[bool]
) -> None:
    answer = " ".join(["word"] * 200) + "."
    agent = make_agent(llm={"answers": (answer,)}, call={"apology": APOLOGY})
    async with make_call(agent, tmp_path) as call:
        await asyncio.sleep(0.1)
        await call.user_says("hello")
        await asyncio.sleep(2)
        unreachable.append(True)
        failed_at = running_loop().time()
        await drop(call)
        while not call.ends:
            await hears(call, 0.2)
        assert running_loop().time() - failed_at <= 8.0
        assert [interrupted for _, interrupted in call.spoken()] == [True, False]
        assert call.spoken()[-1] == (APOLOGY, False)


@virtual_time
async def test_a_recogniser_that_fails_while_the_phone_rings_is_apologised_for(
    tmp_path: Path, unreachable: list[bool]
) -> None:
    unreachable.append(True)
    agent = make_agent(greeting=GREETING, call={"apology": APOLOGY})
    async with make_call(agent, tmp_path, start=False) as call:
        call.bot.connect()
        await asyncio.sleep(10)
        assert call.ends == []
        await call.start()
        await asyncio.sleep(4)
        assert call.ends == [("provider_failed", None)]
        assert call.spoken()[-1] == (APOLOGY, False)
