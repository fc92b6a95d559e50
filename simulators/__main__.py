"""Run simulated vendors as a process: ``python -m simulators all``.

Prints one line of JSON once they listen: for each its URLs and port, and under ``env`` the
variables that point a server at them. Runs until it is told to end, or, with
``--until-stdin-closes``, until whoever started it is gone.

While it runs, ``GET /-/state`` on any of the ports tells what happened there so far, and
``POST /-/behaviour`` with ``{"behaviour": {…}, "on": [0]}`` changes how it behaves.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from simulators.ai4bharat import AI4BharatSTTSimulator, AI4BharatTTSSimulator
from simulators.anthropic import AnthropicSimulator
from simulators.azure import AzureSimulator
from simulators.backend import BackendSimulator
from simulators.base import Simulator
from simulators.behaviour import Behaviour
from simulators.bhashini import BhashiniSimulator
from simulators.bhashini.nvcf import NvcfSimulator
from simulators.cartesia import CartesiaSimulator
from simulators.deepgram import DeepgramSimulator, Timing, Utterance
from simulators.elevenlabs import ElevenLabsSimulator
from simulators.google import GeminiSimulator, GoogleSpeechSimulator
from simulators.kenpath import KenpathSimulator
from simulators.openai import (
    AzureOpenAISimulator,
    GroqSimulator,
    OpenAISimulator,
    OpenRouterSimulator,
    Reply,
    ToolCall,
)
from simulators.sarvam import SarvamSimulator
from simulators.smallest import SmallestSimulator
from simulators.soniox import SonioxSimulator
from simulators.vobiz import VobizApiSimulator
from simulators.webhook import WebhookSimulator

_VENDORS: Final[Mapping[str, type[Simulator]]] = {
    "deepgram": DeepgramSimulator,
    "elevenlabs": ElevenLabsSimulator,
    "openai": OpenAISimulator,
    "azure-openai": AzureOpenAISimulator,
    "groq": GroqSimulator,
    "openrouter": OpenRouterSimulator,
    "cartesia": CartesiaSimulator,
    "ai4bharat-stt": AI4BharatSTTSimulator,
    "ai4bharat-tts": AI4BharatTTSSimulator,
    "kenpath": KenpathSimulator,
    "bhashini": BhashiniSimulator,
    "bhashini-nvcf": NvcfSimulator,
    "sarvam": SarvamSimulator,
    "soniox": SonioxSimulator,
    "smallest": SmallestSimulator,
    "anthropic": AnthropicSimulator,
    "azure": AzureSimulator,
    "google-stt": GoogleSpeechSimulator,
    "google-tts": GoogleSpeechSimulator,
    "google-llm": GeminiSimulator,
    "backend": BackendSimulator,
    "webhook": WebhookSimulator,
    "vobiz-api": VobizApiSimulator,
}
_ENVIRONMENT: Final = {
    "deepgram": "DEEPGRAM_BASE_URL",
    "elevenlabs": "ELEVENLABS_BASE_URL",
    "openai": "OPENAI_BASE_URL",
    "azure-openai": "AZURE_OPENAI_ENDPOINT",
    "groq": "GROQ_BASE_URL",
    "openrouter": "OPENROUTER_BASE_URL",
    "cartesia": "CARTESIA_BASE_URL",
    "ai4bharat-stt": "INDIC_STT_SERVER_URL",
    "ai4bharat-tts": "INDIC_TTS_SERVER_URL",
    "kenpath": "KENPATH_VISTAAR_API_URL",
    "bhashini": "BHASHINI_BASE_URL",
    "bhashini-nvcf": "BHASHINI_NVCF_BASE_URL",
    "sarvam": "SARVAM_BASE_URL",
    "soniox": "SONIOX_BASE_URL",
    "smallest": "SMALLEST_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "azure": "AZURE_SPEECH_BASE_URL",
    "google-stt": "GOOGLE_STT_BASE_URL",
    "google-tts": "GOOGLE_TTS_BASE_URL",
    "google-llm": "GOOGLE_LLM_BASE_URL",
    "backend": "VOICERA_BACKEND_URL",
    "vobiz-api": "VOBIZ_API_BASE",
}


def build(vendor: str, options: Mapping[str, Any], port: int) -> Simulator:
    """Make a simulator from options as a script file has them.

    Args:
        vendor: One of the vendors' names.
        options: Keyword arguments of the simulator; ``behaviour``, ``script``, ``timing``,
            ``utterances`` and ``replies`` as JSON.
        port: Port, 0 for a free one.

    Raises:
        ValueError: An option that the simulator doesn't have, or a wrong value.
    """
    arguments: dict[str, Any] = {"keep_audio": False} if vendor == "deepgram" else {}
    arguments |= options
    try:
        if "behaviour" in arguments:
            arguments["behaviour"] = Behaviour(**arguments["behaviour"])
        if "script" in arguments:
            arguments["script"] = [Behaviour(**entry) for entry in arguments["script"]]
        if "timing" in arguments:
            arguments["timing"] = Timing(**arguments["timing"])
        if "utterances" in arguments:
            arguments["utterances"] = [_utterance(entry) for entry in arguments["utterances"]]
        if "replies" in arguments:
            arguments["replies"] = _replies(arguments["replies"])
        return _VENDORS[vendor](port=port, **arguments)
    except TypeError as error:
        raise ValueError(f"{vendor}: {error}") from error


def _utterance(entry: Any) -> str | Utterance:
    return Utterance(**entry) if isinstance(entry, dict) else str(entry)


def _replies(replies: Any) -> Any:
    if isinstance(replies, dict):
        return {pattern: _reply(entry) for pattern, entry in replies.items()}
    return [_reply(entry) for entry in replies]


def _reply(entry: Any) -> str | Reply:
    if not isinstance(entry, dict):
        return str(entry)
    calls = tuple(ToolCall(**call) for call in entry.get("tool_calls", ()))
    return Reply(**{**entry, "tool_calls": calls})


def description(simulators: Mapping[str, Simulator]) -> dict[str, Any]:
    """Where the simulators listen, as it is printed."""
    told: dict[str, Any] = {
        name: {
            "port": simulator.port,
            "base_url": simulator.base_url,
            "ws_url": simulator.ws_url,
        }
        for name, simulator in simulators.items()
    }
    told["env"] = {
        _ENVIRONMENT[name]: simulator.ws_url if name == "ai4bharat-tts" else simulator.base_url
        for name, simulator in simulators.items()
        if name in _ENVIRONMENT
    }
    return told


async def serve(simulators: Mapping[str, Simulator], *, until_stdin_closes: bool) -> None:
    """Start all, say where, and run until told to end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with contextlib.AsyncExitStack() as stack:
        for simulator in simulators.values():
            await stack.enter_async_context(simulator)
        # Everything that is to stay is made: let the collector leave it alone.
        gc.freeze()
        print(json.dumps(description(simulators)), flush=True)
        if until_stdin_closes:
            await _watch_stdin(ended)
        await ended.wait()


async def _watch_stdin(ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            ended.set()

    loop.add_reader(sys.stdin.fileno(), on_input)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulators", description="Simulated vendors on 127.0.0.1."
    )
    parser.add_argument("vendor", choices=[*_VENDORS, "all"])
    parser.add_argument(
        "--port", type=int, default=0, help="port; for all, the first of several (default: free)"
    )
    parser.add_argument(
        "--script",
        type=Path,
        help='JSON file: {"deepgram": {"utterances": […]}, "openai": {"replies": […]}, …}',
    )
    parser.add_argument("--accept-delay-ms", type=float, default=0.0, help="for every connection")
    parser.add_argument("--until-stdin-closes", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Run; returns the exit status."""
    arguments = _parse_arguments()
    names = list(_VENDORS) if arguments.vendor == "all" else [arguments.vendor]
    try:
        script = json.loads(arguments.script.read_bytes()) if arguments.script else {}
        simulators = {}
        for offset, name in enumerate(names):
            options = dict(script.get(name, {}))
            if arguments.accept_delay_ms:
                behaviour = dict(options.get("behaviour", {}))
                options["behaviour"] = {
                    **behaviour,
                    "accept_delay_ms": arguments.accept_delay_ms,
                }
            port = arguments.port + offset if arguments.port else 0
            simulators[name] = build(name, options, port)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        print(f"simulators: {error}", file=sys.stderr)
        return 2
    serving = serve(simulators, until_stdin_closes=arguments.until_stdin_closes)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serving)
    else:
        uvloop.run(serving)
    return 0


if __name__ == "__main__":
    sys.exit(main())
