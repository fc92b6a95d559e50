"""``main.py call``: places a simulated telephone call, to a server that runs or to its own."""

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from commands.showing import show
from config.errors import AdmissionError, ConfigError
from config.settings import Settings

MAIN_FILE = str(Path(__file__).resolve().parents[1] / "main.py")
START_SECONDS = 30.0
STOP_SECONDS = 20.0
PROBE_SECONDS = 1.0
#: What the caller says to the agents that ship, and in which language.
DEMO_CALLS: dict[str, tuple[list[str], str]] = {
    "default_agent": (["what are your opening hours", "goodbye"], "en-IN"),
    "helpline_hi": (["मंडी भाव बताइए", "गेहूँ का भाव", "धन्यवाद नमस्ते"], "hi"),
}

HELP = "place a simulated phone call to a server, or to one it starts"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--url", help="server to call; default: the local one, or a new one")
    parser.add_argument("--agent", default="default_agent", help="agent to talk to")
    parser.add_argument("--say", action="append", help="what to say; may be given several times")
    parser.add_argument("--language", help="language of what is said, such as hi")
    parser.add_argument("--plot", action="store_true", help="draw both sides of the call")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Place one call, and show it as it goes."""
    from simulators.caller.vobiz_answer import AnswerRejected
    from simulators.speech import SpeechError

    try:
        return asyncio.run(_place_call(options, settings))
    except AnswerRejected as error:
        raise AdmissionError("call_refused", f"the call was not taken: {error}") from error
    except ConnectionError as error:
        raise AdmissionError("call_lost", f"the server is not there any more: {error}") from error
    except SpeechError as error:
        raise ConfigError(f"this cannot be said: {error}") from error


async def _place_call(options: argparse.Namespace, settings: Settings) -> int:
    """Call a server that runs, or start one for the length of the call."""
    from simulators.caller.demo import run_demo_call

    url = (options.url or _local_url(settings)).rstrip("/")
    say, language = _words(options)
    token = _operator_token(settings)
    async with AsyncExitStack() as stack:
        if not await _is_up(url):
            if options.url:
                raise ConfigError(f"no server answers at {url}; start one with `make run`")
            url = await stack.enter_async_context(_own_server(options))
        await run_demo_call(url, options.agent, language, say, show, plot=options.plot, token=token)
    return 0


def _words(options: argparse.Namespace) -> tuple[list[str], str]:
    """What to say and in which language; the shipped agents have their own demonstration."""
    lines, language = DEMO_CALLS.get(options.agent, DEMO_CALLS["default_agent"])
    return options.say or lines, options.language or language


def _local_url(settings: Settings) -> str:
    host = settings.server.host
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def _operator_token(settings: Settings) -> str | None:
    """For the doors that show transcript and record; None where no key is known here."""
    from sessions.dev_secret import jwt_secret
    from sessions.tokens import OPERATOR_AUDIENCE, issue_token

    try:
        secret = jwt_secret(settings)
    except ConfigError:
        return None
    return issue_token(secret, subject="command-line", audience=OPERATOR_AUDIENCE)


async def _is_up(url: str) -> bool:
    return await asyncio.to_thread(_answers, f"{url}/health/live")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PROBE_SECONDS) as answer:
            status: int = answer.status
    except (OSError, HTTPException, ValueError):
        return False
    return status == 200


@asynccontextmanager
async def _own_server(options: argparse.Namespace) -> AsyncIterator[str]:
    """A server on a free port, and its address; stopped at the end."""
    port = _free_port()
    config = ["--config", str(options.config)] if options.config else []
    address = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    command = [sys.executable, MAIN_FILE, *config, "serve", *address]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        show(f"no server was running: started one on port {port} for this call")
        url = f"http://127.0.0.1:{port}"
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not await _is_up(url):
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise ConfigError("the server did not start; run `make run` to see why")
            await asyncio.sleep(0.1)
        yield url
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    for end in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        end()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
