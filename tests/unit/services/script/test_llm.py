import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    ServiceMetadataFrame,
    TextFrame,
)
from pipecat.metrics.metrics import ProcessingMetricsData, TTFBMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test as pipecat_run_test
from pipecat.workers.runner import WorkerRunner

from config.agent import AgentConfig
from services.actions import CallActionFrame
from services.context import ServiceContext
from services.offline.frames import UnrecognizedSpeechFrame
from services.script.engine import Dialogue
from services.script.llm import ScriptLLMService, build_llm
from services.script.options import ScriptOptions

DEADLINE_SECONDS = 30.0
#: Pipecat gives a pipeline one second to start.
run_test = partial(pipecat_run_test, start_timeout=DEADLINE_SECONDS)
OPTIONS = ScriptOptions.model_validate(
    {
        "key_timeout_seconds": 0.01,
        "states": {
            "main": {
                "say": "Welcome. Say code.",
                "keys": {"1": "code", "0": {"transfer": "desk"}},
                "intents": {
                    "code": {"samples": ["code"], "goto": "code"},
                    "bye": {"samples": ["goodbye"], "say": "Thank you. Bye.", "end": True},
                },
            },
            "code": {
                "slots": {"code": {"type": "digits", "prompt": "Your code?", "length": 4}},
                "then": {"say": "Thanks.", "goto": "main"},
            },
        },
    }
)


def service(**kwargs: Any) -> ScriptLLMService:
    return ScriptLLMService(Dialogue(OPTIONS, farewell="Bye."), **kwargs)


def said(text: str, *, role: str = "user") -> LLMContextFrame:
    messages: list[Any] = [{"role": "system", "content": "x"}, {"role": role, "content": text}]
    return LLMContextFrame(LLMContext(messages))


def key(digit: str) -> InputDTMFFrame:
    return InputDTMFFrame(button=KeypadEntry(digit))


def texts(frames: Sequence[Frame]) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, TextFrame)]


def kinds(frames: Sequence[Frame]) -> list[type[Frame]]:
    return [type(frame) for frame in frames if not isinstance(frame, ServiceMetadataFrame)]


async def test_a_reply_streams_as_a_models_does() -> None:
    down, _ = await run_test(service(), frames_to_send=[said("code")])
    assert kinds(down) == [LLMFullResponseStartFrame, LLMTextFrame, LLMFullResponseEndFrame]
    assert texts(down) == ["Your code?"]


async def test_sentences_come_one_by_one_and_the_end_after_them() -> None:
    down, _ = await run_test(service(), frames_to_send=[said("goodbye")])
    assert kinds(down) == [
        LLMFullResponseStartFrame,
        LLMTextFrame,
        LLMTextFrame,
        LLMFullResponseEndFrame,
        CallActionFrame,
    ]
    assert texts(down) == ["Thank you. ", "Bye."]
    action = cast(CallActionFrame, down[-1])
    assert (action.action, action.target) == ("end", None)


async def test_a_context_without_the_caller_opens_the_dialogue_once() -> None:
    frame = LLMContextFrame(LLMContext([{"role": "system", "content": "x"}]))
    down, _ = await run_test(service(), frames_to_send=[frame, frame])
    assert texts(down) == ["Welcome. ", "Say code."]


async def test_a_message_is_answered_once() -> None:
    frame = said("code")
    down, _ = await run_test(service(), frames_to_send=[frame, LLMContextFrame(frame.context)])
    assert texts(down) == ["Your code?"]


async def test_only_text_parts_are_read() -> None:
    context = LLMContext(
        [{"role": "user", "content": [{"type": "text", "text": "code"}, {"type": "image_url"}]}]  # type: ignore[list-item]
    )
    down, _ = await run_test(service(), frames_to_send=[LLMContextFrame(context)])
    assert texts(down) == ["Your code?"]


async def test_a_key_interrupts_and_is_answered_at_once() -> None:
    down, up = await run_test(service(), frames_to_send=[key("0")])
    assert kinds(down) == [
        InputDTMFFrame,
        InterruptionFrame,
        LLMFullResponseStartFrame,
        LLMTextFrame,
        LLMFullResponseEndFrame,
        CallActionFrame,
    ]
    assert kinds(up) == [InterruptionFrame]
    action = cast(CallActionFrame, down[-1])
    assert (action.action, action.target) == ("transfer", "desk")


async def test_a_number_interrupts_at_its_first_key_only() -> None:
    llm = service()
    llm.dialogue.on_text("code")
    down, _ = await run_test(llm, frames_to_send=[key(d) for d in "4321"])
    assert kinds(down)[:7] == [
        InputDTMFFrame,
        InterruptionFrame,
        InputDTMFFrame,
        InputDTMFFrame,
        InputDTMFFrame,
        InterruptionFrame,
        LLMFullResponseStartFrame,
    ]
    assert texts(down) == ["Thanks. ", "Welcome. ", "Say code."]
    assert llm.dialogue.collected == {"code": "4321"}


class Until(FrameProcessor):
    """Sets an event when a frame of a kind passes."""

    def __init__(self, kind: type[Frame]) -> None:
        super().__init__()
        self._kind = kind
        self.passed = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, self._kind):
            self.passed.set()


async def test_a_pause_ends_a_number() -> None:
    llm = service(key_timeout_seconds=0.01)
    llm.dialogue.on_text("code")
    end = Until(LLMFullResponseEndFrame)
    worker = PipelineWorker(Pipeline([llm, end]), enable_rtvi=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await worker.queue_frames([key("4"), key("3")])
        await asyncio.wait_for(end.passed.wait(), DEADLINE_SECONDS)
        assert not llm.dialogue.awaits_more_keys
        assert llm.dialogue.collected == {}
    finally:
        await worker.queue_frame(EndFrame())
        await asyncio.wait_for(running, DEADLINE_SECONDS)


async def test_an_open_number_does_not_outlive_the_call() -> None:
    llm = service(key_timeout_seconds=60)
    llm.dialogue.on_text("code")
    before = len(asyncio.all_tasks())
    await run_test(llm, frames_to_send=[key("4")])
    assert len(asyncio.all_tasks()) <= before


async def test_unrecognised_speech_is_asked_about() -> None:
    down, _ = await run_test(service(), frames_to_send=[UnrecognizedSpeechFrame()])
    assert texts(down) == ["Sorry, I did not understand that."]


async def test_silence_is_the_scripts_to_answer() -> None:
    class AfterStart(ScriptLLMService):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, UnrecognizedSpeechFrame):
                for _ in range(4):
                    await self.on_no_input()

    llm = AfterStart(Dialogue(OPTIONS, waiting="Hello?", farewell="Bye."))
    down, _ = await run_test(llm, frames_to_send=[UnrecognizedSpeechFrame()])
    spoken = "".join(f"{text}|" for text in texts(down))
    assert spoken.endswith("Hello? |Welcome. |Say code.|Hello? |Welcome. |Say code.|Bye.|")
    assert [f.action for f in down if isinstance(f, CallActionFrame)] == ["end", "end"]


async def test_times_are_measured() -> None:
    down, _ = await run_test(
        service(),
        frames_to_send=[said("code")],
        pipeline_params=PipelineParams(enable_metrics=True),
    )
    data = [item for f in down if isinstance(f, MetricsFrame) for item in f.data]
    assert any(isinstance(item, TTFBMetricsData) for item in data)
    assert any(isinstance(item, ProcessingMetricsData) for item in data)


async def test_a_newer_reply_stops_the_older_one() -> None:
    """A key pressed while sentences are being streamed ends the stream without its end frame."""

    class PressesMidway(ScriptLLMService):
        pressed = False

        async def push_frame(
            self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
        ) -> None:
            await super().push_frame(frame, direction)
            if isinstance(frame, LLMTextFrame) and not self.pressed:
                self.pressed = True
                await self.press("1")

    down, _ = await run_test(
        PressesMidway(Dialogue(OPTIONS)), frames_to_send=[said("goodbye")], send_end_frame=True
    )
    assert "Bye." not in texts(down)
    assert texts(down)[-1] == "Your code?"
    assert not any(isinstance(frame, CallActionFrame) for frame in down)
    assert sum(isinstance(frame, LLMFullResponseEndFrame) for frame in down) == 1


async def test_outside_the_dialogue_it_has_nothing_to_say() -> None:
    assert await service().run_inference(LLMContext([])) is None


@pytest.fixture
def agent() -> AgentConfig:
    return AgentConfig.model_validate(
        {
            "agent_id": "demo",
            "language": "hi",
            "greeting": "नमस्ते {{name}}",
            "variables": {"name": "आशा"},
            "call": {"transfer_to": {"desk": "+911100000000"}, "farewell": "विदा"},
            "stt": {"provider": "offline"},
            "llm": {"provider": "script"},
            "tts": {"provider": "espeak"},
        }
    )


def context(agent: AgentConfig) -> ServiceContext:
    return ServiceContext(
        agent=agent,
        language=agent.language,
        vendor_language=None,
        rate_hz=8000,
        base_url=None,
        api_key=None,
        http=cast(Any, None),
        variables={"caller_number": "9812345678"},
    )


async def test_the_agent_lends_its_phrases_variables_and_transfer_target(
    agent: AgentConfig,
) -> None:
    options = ScriptOptions.model_validate(
        {
            "keys": {
                "1": {"repeat": True},
                "2": {"end": True},
                "3": {"transfer": True, "say": "{{name}} {{caller_number}}"},
            },
            "states": {"a": {}},
        }
    )
    llm = build_llm(options, context(agent))
    replies = [llm.dialogue.on_digit(digit) for digit in "12"]
    assert [reply and reply.text for reply in replies] == ["नमस्ते आशा", "विदा"]
    down, _ = await run_test(llm, frames_to_send=[key("3")])
    assert texts(down) == ["आशा 9 8 1 2 3, 4 5 6 7 8"]
    assert cast(CallActionFrame, down[-1]).target == "desk"
