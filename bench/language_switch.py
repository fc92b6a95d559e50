"""How soon a caller hears the new language after a change of it.

Run as ``python -m bench.language_switch``.

Calls go from Hindi to Tamil against simulated vendors whose connections take as long as asked
for: each call has one answer in Hindi, one change by the model's tool with the answer of the same
turn, and one change back by a key. The tool costs a second request to the model, the key none.
"""

import argparse
import asyncio
import json
import logging
import socket
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from loguru import logger

from api.app import create_app
from api.serve import server_config
from config.settings import load_settings
from simulators.behaviour import Behaviour
from simulators.caller.vobiz import VobizCaller
from simulators.cartesia import CartesiaSimulator
from simulators.deepgram import DeepgramSimulator
from simulators.openai import OpenAISimulator
from simulators.openai.reply import ChatRequest, Reply, ToolCall
from simulators.speech import Speech

QUESTION = "I would like to see the doctor tomorrow"
ASKS_FOR_TAMIL = "தமிழில் பேசுங்கள்"
QUIET_MS, TIMEOUT_MS = 900, 15_000
AGENT: dict[str, Any] = {
    "language": "hi",
    "languages": ["ta"],
    "greeting": "नमस्ते।",
    "stt": {"provider": "deepgram"},
    "llm": {"provider": "openai"},
    "tts": {
        "provider": "cartesia",
        "cartesia": {"voice_id": "hindi-voice"},
        "languages": {"ta": {"cartesia": {"voice_id": "tamil-voice"}}},
    },
    "language_switching": {"keys": {"1": "hi"}},
}


def answers(chat: ChatRequest) -> Reply | str:
    """Changes the language when asked for Tamil; what it says else does not matter."""
    noted = any("From now on answer in" in str(m.get("content")) for m in chat.messages)
    if chat.user_text == ASKS_FOR_TAMIL and not noted:
        call = ToolCall("switch_language", '{"language": "ta"}', f"call-{chat.number}")
        return Reply(tool_calls=(call,))
    return "சரி, சொல்லுங்கள்."


@asynccontextmanager
async def server(connect_ms: float, first_token_ms: float, folder: Path) -> AsyncIterator[int]:
    """A server with its vendors; gives its port."""
    slow = Behaviour(accept_delay_ms=connect_ms)
    heard = [QUESTION, ASKS_FOR_TAMIL]
    async with (
        DeepgramSimulator(utterances=heard, behaviour=slow) as ears,
        OpenAISimulator(replies=answers, first_token_ms=first_token_ms) as model,
        CartesiaSimulator(behaviour=slow) as voices,
    ):
        (folder / "agents").mkdir()
        (folder / "agents" / "sathi.json").write_text(json.dumps(AGENT), encoding="utf-8")
        settings = load_settings(
            env={
                "AGENTS_DIR": str(folder / "agents"),
                "DATA_DIR": str(folder / "data"),
                "DEFAULT_AGENT": "sathi",
                "DEEPGRAM_BASE_URL": ears.base_url,
                "OPENAI_BASE_URL": model.base_url,
                "CARTESIA_BASE_URL": voices.base_url,
                "DEEPGRAM_API_KEY": "d",
                "OPENAI_API_KEY": "o",
                "CARTESIA_API_KEY": "c",
            }
        )
        app = create_app(settings)
        listener = socket.create_server(("127.0.0.1", 0))
        running = uvicorn.Server(server_config(app, settings, loop="none"))
        task = asyncio.create_task(running.serve(sockets=[listener]))
        try:
            while not running.started:  # noqa: ASYNC110 - uvicorn tells in no other way
                await asyncio.sleep(0.02)
            await app.state.parts.phrases.prepared("sathi")
            yield int(listener.getsockname()[1])
        finally:
            running.should_exit = True
            await task


async def one_call(port: int, speech: Speech) -> tuple[float, float, float]:
    """Milliseconds to the answer without a change, with one by tool, and after a key."""
    address = f"http://127.0.0.1:{port}"
    caller = VobizCaller(
        answer_url=f"{address}/answer?agent_id=sathi",
        hangup_url=f"{address}/hangup",
        speech=speech,
    )
    ends: list[float] = []
    async with caller:
        await caller.listen_until_quiet(QUIET_MS, TIMEOUT_MS)
        for _ in range(2):
            ends.append((await caller.say(QUESTION)).end_ms)
            await caller.listen_until_quiet(QUIET_MS, TIMEOUT_MS)
        ends.append(caller.now_ms)
        caller.press("1")
        await caller.listen_until_quiet(QUIET_MS, TIMEOUT_MS)
    starts = [reply.start_ms for reply in caller.replies()]
    plain, by_tool, by_key = (next(start for start in starts if start > end) - end for end in ends)
    return plain, by_tool, by_key


def shown(name: str, values: Sequence[float]) -> str:
    """A line of the result."""
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    return f"{name:<34} p50 {statistics.median(values):5.0f} ms   p95 {p95:5.0f} ms"


async def main() -> None:
    """Place the calls and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10, help="how many, one after the other")
    parser.add_argument("--connect-ms", type=float, default=150, help="to connect to a vendor")
    parser.add_argument("--first-token-ms", type=float, default=300, help="of the model")
    options = parser.parse_args()
    logger.remove()
    logging.disable(logging.WARNING)
    speech = Speech()
    with tempfile.TemporaryDirectory() as folder:
        async with server(options.connect_ms, options.first_token_ms, Path(folder)) as port:
            found = [await one_call(port, speech) for _ in range(options.calls)]
    plain, by_tool, by_key = zip(*found, strict=True)
    print(  # noqa: T201 - this is what it is for
        f"{options.calls} calls; vendors connect in {options.connect_ms:.0f} ms, the model's "
        f"first token comes after {options.first_token_ms:.0f} ms\n"
        + "\n".join(
            (
                shown("answer without a change", plain),
                shown("answer with a change by tool", by_tool),
                shown("first word after a key", by_key),
            )
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
