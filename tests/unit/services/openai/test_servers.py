"""Servers of one's own and vendors behind OpenAI's protocol: what each is asked."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pipecat.frames.frames import LLMContextFrame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor

from config.agent import AgentConfig
from config.agent_file import build_agent
from config.documents import parse_document
from config.settings import load_settings
from services.ollama import OllamaLLMOptions
from services.ollama.llm import build_llm as build_ollama
from services.openai import CompatibleLLMOptions
from services.openai.answers import Opening
from services.openai.clients import clients
from services.openai.llm import build_compatible_llm
from services.openrouter import OpenRouterLLMOptions
from services.openrouter.llm import build_llm as build_openrouter
from services.registry import catalog
from simulators.openai import OpenAISimulator, OpenRouterSimulator, Reply
from tests.unit.services.calls import context, on_the_line

VLLM = ("top_k", "repetition_penalty", "chat_template_kwargs")


@pytest.fixture(autouse=True)
async def no_clients_left() -> AsyncIterator[None]:
    yield
    await clients.close()


async def answer(llm: FrameProcessor) -> str:
    async with on_the_line(llm) as line:
        messages: Any = [{"role": "user", "content": "नमस्ते"}]
        await line.send(LLMContextFrame(LLMContext(messages=messages)))
        await line.first(LLMFullResponseEndFrame)
    assert line.errors == []
    return "".join(frame.text for frame in line.of(LLMTextFrame))


def compatible(simulator: OpenAISimulator, **given: object) -> CompatibleLLMOptions:
    return CompatibleLLMOptions.model_validate(
        {"base_url": simulator.base_url, "model": "qwen3.5-4b", **given}
    )


@pytest.mark.parametrize(
    ("reply", "spoken"),
    [
        (Reply(text="जी, बताइए।"), "जी, बताइए।"),
        (Reply(text="\n\nजी, बताइए।", chunk_chars=1), "जी, बताइए।"),
        (Reply(text="<think>\n\n</think>\n\nजी।", chunk_chars=3), "जी।"),
        (Reply(text="\n\nजी, बताइए।", reasoning_only=True), "जी, बताइए।"),
    ],
)
async def test_a_model_that_is_not_to_think_is_told_so_and_heard_wherever_it_answers(
    http: aiohttp.ClientSession, reply: Reply, spoken: str
) -> None:
    async with OpenAISimulator(replies=[reply], extra_parameters=VLLM) as simulator:
        options = compatible(simulator, thinking=False, top_k=20, repetition_penalty=1.05)
        llm = build_compatible_llm(options, context(http, simulator.base_url))
        assert await answer(llm) == spoken
        body = simulator.chats[0].body
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert (body["top_k"], body["repetition_penalty"]) == (20, 1.05)
        assert simulator.chats[0].messages[0]["content"].endswith("/no_think")
        assert simulator.violations == []


async def test_thoughts_are_never_spoken_of_a_model_that_may_think(
    http: aiohttp.ClientSession,
) -> None:
    reply = Reply(text="<think>वह क्या चाहता है?</think>जी।", reasoning="सोच रहा हूँ")
    async with OpenAISimulator(replies=[reply], extra_parameters=VLLM) as simulator:
        options = compatible(simulator, thinking=True)
        llm = build_compatible_llm(options, context(http, simulator.base_url))
        assert await answer(llm) == "जी।"
        assert simulator.chats[0].body["chat_template_kwargs"] == {"enable_thinking": True}


async def test_a_server_is_sent_nothing_of_thinking_unless_asked(
    http: aiohttp.ClientSession,
) -> None:
    async with OpenAISimulator() as simulator:
        llm = build_compatible_llm(compatible(simulator), context(http, simulator.base_url))
        await answer(llm)
        assert not set(simulator.chats[0].body) & set(VLLM)


async def test_ollama_needs_no_key_and_can_be_kept_from_thinking(
    http: aiohttp.ClientSession,
) -> None:
    async with OpenAISimulator(replies=["जी।"]) as simulator:
        options = OllamaLLMOptions(model="gemma3:12b", thinking=False, max_tokens=50)
        llm = build_ollama(options, context(http, simulator.base_url.removesuffix("/v1")))
        assert await answer(llm) == "जी।"
        body = simulator.chats[0].body
        assert (body["model"], body["max_tokens"]) == ("gemma3:12b", 50)
        assert body["reasoning_effort"] == "none"


async def test_openrouter_is_told_who_may_answer(http: aiohttp.ClientSession, key: str) -> None:
    async with OpenRouterSimulator(replies=["जी।"], api_key=key) as simulator:
        options = OpenRouterLLMOptions(
            vendors=("groq",), data_collection="deny", thinking=False, max_tokens=50
        )
        llm = build_openrouter(options, context(http, simulator.base_url, key=key))
        assert await answer(llm) == "जी।"
        body = simulator.chats[0].body
        assert body["provider"] == {
            "order": ["groq"],
            "allow_fallbacks": False,
            "data_collection": "deny",
        }
        assert body["reasoning"] == {"enabled": False}
        assert simulator.violations == []


@pytest.mark.parametrize(
    ("pieces", "spoken"),
    [
        (["\n", "\n", "Yes"], "Yes"),
        (["<", "3"], "<3"),
        (["<think>", "never ends"], ""),
        ([" <thi", "nk>x</thi", "nk> ", " Yes", "\n"], "Yes\n"),
    ],
)
def test_what_stands_before_the_first_word(pieces: list[str], spoken: str) -> None:
    opening = Opening()
    assert "".join(opening.take(piece) for piece in pieces) == spoken


# -- agent files -----------------------------------------------------------------------------


def agent(llm: dict[str, Any] | None = None, **data: Any) -> AgentConfig:
    base: dict[str, Any] = {
        "agent_id": "a",
        "language": "hi",
        "stt": {"provider": "offline", "offline": {"phrases": ["हाँ"]}},
        "tts": {"provider": "espeak"},
        **({"llm": llm} if llm else {}),
        **data,
    }
    document = parse_document(json.dumps(base), Path("a.json"))
    return build_agent(document, catalog, load_settings(None, {}), check_installation=False)


@pytest.mark.parametrize("name", ["local", "vllm", "custom", "openai_compatible"])
def test_other_names_of_a_server_of_ones_own(name: str) -> None:
    section = {"base_url": "http://h:8000", "model": "m"}
    made = agent({"provider": name, name: section})
    assert isinstance(made.provider_options("llm", name), CompatibleLLMOptions)


def test_a_file_from_before_ollama_was_a_provider_of_its_own_still_loads() -> None:
    section = {"api_base": "http://h:11434/v1", "model": "m", "api_key": "x", "max_tokens": 9}
    options = agent({"provider": "ollama", "ollama": section}).provider_options("llm", "ollama")
    assert isinstance(options, OllamaLLMOptions)
    assert options.base_url == "http://h:11434/v1"


def voicera(model: dict[str, Any]) -> AgentConfig:
    spoken = {"name": "OpenAI", "language": "Hindi"}
    return agent(
        stt=None, tts=None, language="Hindi", stt_model=spoken, tts_model=spoken, llm_model=model
    )


@pytest.mark.parametrize("name", ["qwen", "Qwen", "localqwen", "vLLM"])
def test_voiceras_qwen_does_not_think(name: str) -> None:
    args = {"base_url": "http://h:8000", "aggregation_timeout": 0.05, "extra": {"top_k": 5}}
    model = {"name": name, "model": "qwen3.5-4b", "args": args}
    options = voicera(model).provider_options("llm", "local")
    assert isinstance(options, CompatibleLLMOptions)
    assert (options.thinking, options.top_k, options.max_tokens) == (False, 5, 200)
    assert (options.temperature, options.top_p) == (0.7, 0.8)


def test_voiceras_custom_models_do_not_think_and_keep_the_servers_numbers() -> None:
    model = {"name": "custom_llm", "model": "m", "args": {"base_url": "http://h:8000"}}
    options = voicera(model).provider_options("llm", "local")
    assert isinstance(options, CompatibleLLMOptions)
    assert (options.thinking, options.temperature, options.top_k) == (False, None, None)


def test_voiceras_grok_is_xais() -> None:
    made = voicera({"name": "Grok", "model": "grok-4"})
    spec = catalog.find("llm", made.llm.provider)
    assert spec is not None
    assert (spec.name, spec.secret_env) == ("xai", "XAI_API_KEY")
