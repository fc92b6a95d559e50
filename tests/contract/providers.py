"""Agents, keys and simulators for tests that run over every registered provider."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    LLMContextFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from config.agent import AgentConfig
from config.agent_file import build_agent
from config.documents import parse_document, read_document
from config.providers import ProviderKind, ProviderSpec
from config.settings import Settings
from services.connections.clients import close_shared_clients
from services.factory import ServiceFactory
from services.registry import catalog
from simulators.base import Simulator
from tests.contract.vendors import LEAST, SIMULATORS
from tests.unit.services.calls import Line

ROOT = Path(__file__).parents[2]
RATES_HZ = (8_000, 16_000)
TEXTS = {"hi": "नमस्ते, आपका स्वागत है।"}
BASES: Mapping[ProviderKind, type[FrameProcessor]] = {
    "stt": STTService,
    "llm": LLMService,
    "tts": TTSService,
}
_DEFAULT_AGENT = read_document(ROOT / "agent_configs/default_agent.json").data

#: Variables whose value is no key but the path of a file that holds one.
KEY_FILES: dict[str, str] = {}

ALL = list(catalog)
REMOTE = [spec for spec in ALL if (spec.kind, spec.name) in SIMULATORS]
SPEAKERS = [spec for spec in ALL if spec.render is not None]


def name_of(spec: ProviderSpec) -> str:
    return f"{spec.kind}-{spec.name}"


every = pytest.mark.parametrize("spec", ALL, ids=name_of)


def least(spec: ProviderSpec) -> dict[str, Any]:
    return LEAST.get((spec.kind, spec.name), {})


def language_for(spec: ProviderSpec) -> str:
    return "hi" if spec.supports("hi") else next(iter(spec.languages or ("en-IN",)))


def keys() -> dict[str, str]:
    """A key for every provider that wants one, made for this test."""
    made = {spec.secret_env: secrets.token_hex(16) for spec in ALL if spec.secret_env}
    return {**made, **KEY_FILES}


def agent_with(spec: ProviderSpec, settings: Settings, **options: object) -> AgentConfig:
    """The agent of the least words that uses ``spec``; keyless providers do the rest.

    Args:
        options: Of that provider; None leaves one out that the least words hold.
    """
    if not spec.supports("hi"):
        options.setdefault("language", language_for(spec))
    data: dict[str, Any] = {
        "agent_id": "tester",
        "language": "hi",
        "stt": {"provider": "offline", "offline": {"phrases": ["हाँ"]}},
        "llm": {"provider": "script", "script": LEAST[("llm", "script")]},
        "tts": {"provider": "espeak"},
        "call": _DEFAULT_AGENT.get("call", {}),
        "variables": _DEFAULT_AGENT.get("variables", {}),
    }
    if spec.name != data[spec.kind]["provider"]:
        given = {key: v for key, v in {**least(spec), **options}.items() if v is not None}
        data[spec.kind] = {"provider": spec.name, spec.name: given}
    document = parse_document(json.dumps(data), Path("tester.json"))
    # Keys and addresses are given where a test needs them.
    return build_agent(document, catalog, settings, check_installation=False)


@asynccontextmanager
async def factory_for(settings: Settings) -> AsyncIterator[ServiceFactory]:
    async with aiohttp.ClientSession() as http:
        yield ServiceFactory(catalog, settings, http)
    await close_shared_clients()


async def use(kind: ProviderKind, line: Line, rate_hz: int) -> None:
    """Give a service of that kind some work."""
    if kind == "llm":
        context = LLMContext(messages=[{"role": "user", "content": TEXTS["hi"]}])
        await line.send(LLMContextFrame(context))
    elif kind == "tts":
        await line.send(TTSSpeakFrame(TEXTS["hi"]))
    else:
        times = np.arange(rate_hz) / rate_hz
        pcm = (np.sin(2 * np.pi * 300 * times) * 8_000).astype("<i2").tobytes()
        await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        for start in range(0, len(pcm), rate_hz // 25 * 2):
            piece = pcm[start : start + rate_hz // 25 * 2]
            await line.send(InputAudioRawFrame(piece, rate_hz, 1))
        await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


@asynccontextmanager
async def simulated(spec: ProviderSpec) -> AsyncIterator[Simulator | None]:
    """The vendor's simulator, listening; None where the provider needs no server."""
    make = SIMULATORS.get((spec.kind, spec.name))
    if make is None:
        yield None
        return
    async with make() as simulator:
        yield simulator


def address(simulator: Simulator | None) -> dict[str, object]:
    return {} if simulator is None else {"base_url": simulator.base_url}
