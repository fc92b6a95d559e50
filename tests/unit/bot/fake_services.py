"""A recogniser, a model and a voice that do as a test tells them, without any vendor."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, ClassVar

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallFromLLM,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.utils.time import time_now_iso8601

from config.providers import ProviderCatalog, ProviderOptions, ProviderSpec
from services.context import ServiceContext
from services.offline.frames import UnrecognizedSpeechFrame
from services.plain_llm import PlainAdapter, settled

#: How long a word sounds.
WORD_MS = 200


class FakeSTTOptions(ProviderOptions):
    """How long it takes to connect."""

    connect_seconds: float = 0.0
    never_ready: bool = False


class FakeLLMOptions(ProviderOptions):
    """What it answers, in turn; and tools to call after the answer."""

    answers: tuple[str, ...] = ("One two three four five. Six seven eight nine ten.",)
    fails: bool = False
    tool: str | None = None
    tool_arguments: dict[str, str] = {}
    later_seconds: float = 0.0


class FakeTTSOptions(ProviderOptions):
    """How it speaks.

    Attributes:
        rate_hz: Of its audio; None is what is asked for.
        silent: It takes text and gives nothing.
        unfinished: It gives audio and never says that it has ended.
        breaks_off_after: Fails in mid-sentence, behind so many words of it; 0 is never.
        word_times: It tells when each word is spoken.
        seconds_per_word: How long it takes to synthesise one.
    """

    rate_hz: int | None = None
    silent: bool = False
    fails: bool = False
    unfinished: bool = False
    breaks_off_after: int = 0
    word_times: bool = False
    seconds_per_word: float = 0.0


class FakeSTT(STTService):
    """Says what the test lets it hear."""

    last: ClassVar["FakeSTT | None"] = None

    def __init__(self, options: FakeSTTOptions, rate_hz: int) -> None:
        super().__init__(
            audio_passthrough=False,
            sample_rate=rate_hz,
            ttfs_p99_latency=0.35,
            settings=STTSettings(model=None, language=None),
        )
        self.options = options
        self.audio = bytearray()
        FakeSTT.last = self

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Connect."""
        await super().setup(setup)
        await asyncio.sleep(1e6 if self.options.never_ready else self.options.connect_seconds)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep the audio."""
        if isinstance(frame, InputAudioRawFrame):
            self.audio += frame.audio
        await super().process_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Nothing comes of itself."""
        yield None

    async def heard(self, text: str) -> None:
        """A final transcript."""
        await self.push_frame(
            TranscriptionFrame(text, "caller", time_now_iso8601(), finalized=True)
        )

    async def not_understood(self) -> None:
        """Speech that matched nothing."""
        await self.push_frame(UnrecognizedSpeechFrame())


class FakeLLM(LLMService[PlainAdapter]):
    """Answers from a list."""

    adapter_class = PlainAdapter
    last: ClassVar["FakeLLM | None"] = None

    def __init__(self, options: FakeLLMOptions) -> None:
        super().__init__(settings=settled("script"))
        self.options = options
        self.asked: list[list[Any]] = []
        FakeLLM.last = self

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def _answer(self, context: LLMContext) -> None:
        self.asked.append(list(context.messages))
        if self.options.fails:
            await self.push_error(error_msg="the model has gone")
            return
        answers = self.options.answers
        await self.push_frame(LLMFullResponseStartFrame())
        if len(self.asked) > 1:
            await asyncio.sleep(self.options.later_seconds)
        if answers:
            answer = answers[min(len(self.asked), len(answers)) - 1]
            for start in range(0, len(answer), 4):
                await self._push_llm_text(answer[start : start + 4])
        if self.options.tool is not None and len(self.asked) == 1:
            await self.run_function_calls(
                [
                    FunctionCallFromLLM(
                        function_name=self.options.tool,
                        tool_call_id="call-1",
                        arguments=self.options.tool_arguments,
                        context=context,
                    )
                ]
            )
        await self.push_frame(LLMFullResponseEndFrame())


class FakeTTS(TTSService):
    """Speaks each word for 200 ms, as a buzz."""

    last: ClassVar["FakeTTS | None"] = None
    mended: ClassVar[bool] = False

    def __init__(self, options: FakeTTSOptions, rate_hz: int) -> None:
        super().__init__(
            sample_rate=rate_hz,
            push_start_frame=True,
            push_stop_frames=not options.unfinished,
            push_text_frames=not options.word_times,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self.options = options
        self.spoken: list[str] = []
        self._timed_context = ""
        self._words = 0
        FakeTTS.last = self

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """One frame for each word."""
        self.spoken.append(text)
        if self.options.fails and not self.mended:
            yield ErrorFrame("the voice is gone")
            return
        if self.options.silent:
            return
        rate_hz = self.options.rate_hz or self.sample_rate
        if context_id != self._timed_context:
            self._timed_context, self._words = context_id, 0
        for number, word in enumerate(text.split()):
            if number == self.options.breaks_off_after > 0:
                yield ErrorFrame("the voice is gone")
                return
            await asyncio.sleep(self.options.seconds_per_word)
            pcm = b"\x00\x20\x00\xe0" * (rate_hz * WORD_MS // 1000 // 2)
            yield TTSAudioRawFrame(pcm, rate_hz, 1, context_id=context_id)
            if self.options.word_times:
                await self.add_word_timestamps([(word, self._words * WORD_MS / 1000)], context_id)
            self._words += 1


def build_stt(options: FakeSTTOptions, context: ServiceContext) -> FakeSTT:
    """See :class:`config.providers.ProviderSpec`."""
    return FakeSTT(options, context.rate_hz)


def build_llm(options: FakeLLMOptions, context: ServiceContext) -> FakeLLM:
    """See :class:`config.providers.ProviderSpec`."""
    return FakeLLM(options)


def build_tts(options: FakeTTSOptions, context: ServiceContext) -> FakeTTS:
    """See :class:`config.providers.ProviderSpec`."""
    return FakeTTS(options, context.rate_hz)


def _spec(kind: Any, options: type[ProviderOptions]) -> ProviderSpec:
    return ProviderSpec(
        kind=kind, name="fake", title="Fake", options=options, build=f"{__name__}:build_{kind}"
    )


def fake_catalog(extra: Sequence[ProviderSpec] = ()) -> ProviderCatalog:
    """The fakes, and others."""
    fakes = [
        _spec("stt", FakeSTTOptions),
        _spec("llm", FakeLLMOptions),
        _spec("tts", FakeTTSOptions),
    ]
    return ProviderCatalog([*fakes, *extra])
