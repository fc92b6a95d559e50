"""What callers of both kinds share: how they listen."""

import asyncio
import base64
from collections.abc import Callable

from simulators.caller.codec import MULAW_8K
from simulators.caller.vobiz import VobizCaller
from simulators.speech import tone
from tests.unit.simulators.caller.app import App
from tests.until import until

SECOND = base64.b64encode(MULAW_8K.encode(tone(400, 1000, rate_hz=8000))).decode()


class LateTicker:
    """Beats when it is told to, however late."""

    def __init__(self) -> None:
        self._now_ms = 0.0
        self._ticks: list[Callable[[], None]] = []

    def now_ms(self) -> float:
        return self._now_ms

    def subscribe(self, tick: Callable[[], None]) -> Callable[[], None]:
        self._ticks.append(tick)
        return lambda: self._ticks.remove(tick)

    def beat(self, after_ms: float) -> None:
        self._now_ms += after_ms
        for tick in tuple(self._ticks):
            tick()


async def test_what_came_while_the_caller_stood_still_is_heard_before_silence_counts(
    app: App,
) -> None:
    ticker = LateTicker()
    async with VobizCaller(stream_url=app.media_url, ticker=ticker) as caller:
        socket = await app.started()
        await socket.play(SECOND)
        await until(lambda: caller.packets_received == 1)
        listening = asyncio.ensure_future(caller.listen_until_quiet(500))
        await asyncio.sleep(0)
        for _ in range(50):
            ticker.beat(20)
        ticker.beat(700)
        await asyncio.sleep(0)
        assert not listening.done()
        await socket.play(SECOND)
        await until(lambda: caller.packets_received == 2)
        while not listening.done():
            ticker.beat(20)
            await asyncio.sleep(0)
        assert (await listening).end_ms == 2700.0
        assert caller.now_ms == 3200.0
