"""An agent that greets, and answers whenever the caller has been silent for 200 ms."""

import base64
from typing import Any

from simulators.caller.codec import MULAW_8K
from simulators.speech import tone
from tests.unit.simulators.caller.app import Socket

GREETING_MS = 300
REPLY_MS = 200
_QUIET_PACKETS = 10


class Agent:
    """One call's agent; its method is the application's ``on_message``.

    Attributes:
        clears_on_speech: Whether it stops speaking where the caller speaks.
        stops_after: How many replies it gives before it ends the call.
    """

    def __init__(self, *, clears_on_speech: bool = False, stops_after: int | None = None) -> None:
        self.clears_on_speech = clears_on_speech
        self.stops_after = stops_after
        self.greeting_ms = GREETING_MS
        self._states: dict[int, list[int]] = {}

    async def __call__(self, socket: Socket, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            await speak(socket, self.greeting_ms)
        elif message["event"] == "dtmf":
            await speak(socket, REPLY_MS)
        elif message["event"] == "media":
            await self._listen(socket, base64.b64decode(message["media"]["payload"]))

    async def _listen(self, socket: Socket, payload: bytes) -> None:
        loud, quiet, replies = self._states.setdefault(id(socket), [0, 0, 0])
        if MULAW_8K.audible(payload):
            if loud == 0 and self.clears_on_speech:
                await socket.clear()
            loud, quiet = loud + 1, 0
        else:
            quiet += 1
        if loud and quiet == _QUIET_PACKETS:
            loud, replies = 0, replies + 1
            if replies == self.stops_after:
                await socket.stop()
            else:
                await speak(socket, REPLY_MS)
        self._states[id(socket)] = [loud, quiet, replies]


async def speak(socket: Socket, length_ms: int) -> None:
    for packet in MULAW_8K.packets(tone(500, length_ms, rate_hz=8000)):
        await socket.play(base64.b64encode(packet).decode())
