"""Calls that are over are freed at once: the garbage collector would stop all others for it."""

import gc
from collections.abc import Iterator

import pytest
from pipecat.processors.frame_processor import FrameProcessor

from simulators.caller.client import ClientCaller
from simulators.speech import Speech
from tests.integration.server import RunningServer


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def processors() -> dict[int, FrameProcessor]:
    return {id(each): each for each in gc.get_objects() if isinstance(each, FrameProcessor)}


async def test_of_calls_that_are_over_no_processor_is_left(
    server: RunningServer, speech: Speech, no_collector: None
) -> None:
    await server.parts.phrases.prepared("brisk")
    before = processors()
    for ask in (True, False):
        async with server.phone(speech) as caller:
            await caller.listen_until_quiet(300, 10_000)
            if ask:
                await caller.say("what are your opening hours")
                await caller.listen_until_quiet(300, 10_000)
    program = ClientCaller(f"{server.ws}/voice", token=server.token(), speech=speech)
    await program.place()
    await program.wait(200)
    await program.hang_up(abort=True)
    await server.until(lambda: not server.parts.manager.active)
    await server.parts.manager.settled()
    await server.until(lambda: not server.parts.manager.ringing)

    def left() -> list[str]:
        return sorted(
            type(each).__name__ for key, each in processors().items() if key not in before
        )

    await server.until(lambda: not left())
