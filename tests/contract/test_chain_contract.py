"""What every registered provider owes the chain that it serves in; see ``bot/chains/``."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from bot.chains.failures import FailureKind, failure_of
from bot.chains.member import Connects
from config.agent_stages import SttDeadlines
from config.providers import ProviderSpec
from config.settings import load_settings
from services.offline.frames import UnrecognizedSpeechFrame
from simulators.base import Simulator
from simulators.behaviour import Behaviour
from tests.contract.providers import (
    ALL,
    KEY_FILES,
    REMOTE,
    agent_with,
    factory_for,
    keys,
    name_of,
    simulated,
    use,
)
from tests.unit.services.calls import Line, on_the_line
from tests.until import undisturbed

#: Deepgram's SDK 7.17 imports names that websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")

RATE_HZ: Final = 8_000
SENTENCES: Final = ("नमस्ते, आपका स्वागत है।", "आज हम आपकी क्या मदद कर सकते हैं?")
#: Pipecat closes a sentence by itself after 3 s without audio, which would be heard as a pause.
PROMPT_SECONDS: Final = 1.5
#: A failure is told within; no vendor's limit on connecting is longer.
TOLD_SECONDS: Final = 3.0
RETRY_AFTER_SECONDS: Final = 7.0

speaking = pytest.mark.parametrize(
    "spec", [spec for spec in ALL if spec.kind == "tts"], ids=name_of
)
hearing = pytest.mark.parametrize(
    "spec", [spec for spec in REMOTE if spec.kind == "stt"], ids=name_of
)
#: Whose client shows no headers of a refusal, or which are spoken to over gRPC.
NO_RETRY_AFTER: Final = frozenset(
    {
        ("stt", "azure"),
        ("tts", "azure"),
        ("stt", "bhashini_bhili"),
        ("tts", "bhashini_parler"),
        ("stt", "google"),
        ("tts", "google"),
    }
)
#: Who answer a request as a whole; the others are cut in the middle of their work.
WHOLE_ANSWERS: Final = frozenset(
    {
        ("stt", "ai4bharat"),
        ("tts", "bhashini"),
        ("stt", "groq"),
        ("stt", "openai"),
        ("llm", "kenpath"),
        ("llm", "kenpath_bhili"),
    }
)

remote = pytest.mark.parametrize("spec", REMOTE, ids=name_of)


@pytest.fixture(scope="module", autouse=True)
def keys_at_hand(key_files: dict[str, str]) -> None:
    KEY_FILES.update(key_files)


@asynccontextmanager
async def serving(spec: ProviderSpec, base_url: str | None) -> AsyncIterator[Line]:
    """A service of that provider in a call, ready for work unless it has failed."""
    settings = load_settings(None, keys())
    async with factory_for(settings) as factory:
        options: dict[str, object] = {} if base_url is None else {"base_url": base_url}
        agent = agent_with(spec, settings, **options)
        service = factory.build(spec.kind, agent, rate_hz=RATE_HZ, session_id="s")
        async with on_the_line(service, cancel=True) as line:
            if isinstance(service, Connects):
                ready = asyncio.ensure_future(service.connected())
                failed = asyncio.ensure_future(line.until(lambda: line.of(ErrorFrame)))
                await asyncio.wait((ready, failed), return_when=asyncio.FIRST_COMPLETED)
                for waiting in (ready, failed):
                    waiting.cancel()
                await asyncio.gather(ready, failed, return_exceptions=True)
            yield line


@asynccontextmanager
async def silence(line: Line, spec: ProviderSpec) -> AsyncIterator[None]:
    """What a telephone sends while nobody speaks; only recognisers hear it."""

    async def go_on() -> None:
        while spec.kind == "stt":
            await line.send(InputAudioRawFrame(bytes(RATE_HZ // 25 * 2), RATE_HZ, 1))
            await asyncio.sleep(0.04)

    sending = asyncio.create_task(go_on())
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def url_of(simulator: Simulator | None) -> str | None:
    return None if simulator is None else simulator.base_url


# -- voices ----------------------------------------------------------------------------------


def ended(line: Line) -> list[str | None]:
    """The contexts whose audio has ended."""
    return [frame.context_id for frame in line.of(TTSStoppedFrame)]


def sounded(line: Line) -> list[str | None]:
    """The contexts that there is audio of, in order."""
    return list(dict.fromkeys(frame.context_id for frame in line.of(TTSAudioRawFrame)))


async def ends_promptly(line: Line, count: int) -> None:
    """Wait until ``count`` sentences have ended, each soon after the last sign of life."""
    while len(ended(line)) < count:
        so_far = len(line.frames)
        try:
            async with undisturbed(PROMPT_SECONDS):
                await line.until(lambda n=so_far: len(line.frames) > n)  # type: ignore[misc]
        except TimeoutError:
            pytest.fail(f"{len(ended(line))} of {count} sentences ended, then nothing came")


@speaking
async def test_sentences_come_without_a_pause_between_them(spec: ProviderSpec) -> None:
    async with simulated(spec) as simulator, serving(spec, url_of(simulator)) as line:
        await line.send(*(TTSSpeakFrame(sentence) for sentence in SENTENCES))
        await ends_promptly(line, len(SENTENCES))
        assert line.errors == []
        assert ended(line) == sounded(line)
        assert len(set(ended(line))) == len(SENTENCES)
        assert_words(line)
    assert simulator is None or simulator.violations == []


def assert_words(line: Line) -> None:
    """Each sentence's text comes once and whole; its words' times never run backwards."""
    for context, sentence in zip(ended(line), SENTENCES, strict=True):
        words = [frame for frame in line.of(TTSTextFrame) if frame.context_id == context]
        assert "".join("".join(frame.text for frame in words).split()) == "".join(sentence.split())
        times = [frame.pts for frame in words if frame.pts]
        assert times == sorted(times)


@speaking
async def test_it_speaks_again_after_an_interruption(spec: ProviderSpec) -> None:
    async with simulated(spec) as simulator, serving(spec, url_of(simulator)) as line:
        await line.send(TTSSpeakFrame(SENTENCES[0]))
        first = await line.first(TTSAudioRawFrame)
        await line.send(InterruptionFrame())
        await line.first(InterruptionFrame)
        before = len(line.frames)
        await line.send(TTSSpeakFrame(SENTENCES[1]))
        await line.until(
            lambda: any(
                isinstance(frame, TTSStoppedFrame) and frame.context_id != first.context_id
                for frame in line.frames[before:]
            )
        )
        assert line.errors == []
        after = [frame for frame in line.frames[before:] if isinstance(frame, TTSAudioRawFrame)]
        assert {frame.context_id for frame in after} == {ended(line)[-1]}
        assert after


# -- recognisers -----------------------------------------------------------------------------


@hearing
async def test_speech_that_nothing_was_heard_of_is_told(spec: ProviderSpec) -> None:
    def is_verdict(frame: Frame) -> bool:
        return isinstance(frame, (TranscriptionFrame, UnrecognizedSpeechFrame))

    async with simulated(spec) as simulator:
        assert simulator is not None
        simulator.behave(Behaviour(empty=True))
        async with serving(spec, simulator.base_url) as line:
            await use("stt", line, RATE_HZ)
            async with silence(line, spec), undisturbed(SttDeadlines().result_seconds):
                await line.until(lambda: any(is_verdict(frame) for frame in line.frames))
            assert line.errors == []


# -- failures --------------------------------------------------------------------------------


@remote
async def test_a_refused_connection_is_told(spec: ProviderSpec) -> None:
    async with simulated(spec) as simulator:
        assert simulator is not None
        url, port = simulator.base_url, simulator.port
    # A port that is taken, so that nobody else takes it, and not listened on.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = url.replace(f":{port}", f":{held.getsockname()[1]}")
        await fails(spec, url, {"dropped"})


@remote
@pytest.mark.parametrize(("status", "kind"), [(401, "auth"), (429, "rate_limit"), (500, "server")])
async def test_a_refusal_is_told(spec: ProviderSpec, status: int, kind: FailureKind) -> None:
    async with simulated(spec) as simulator:
        assert simulator is not None
        wait = RETRY_AFTER_SECONDS if status == 429 else None
        simulator.behave(Behaviour(refuse_status=status, retry_after_seconds=wait))
        frame = await fails(spec, simulator.base_url, {kind})
        failure = failure_of(frame)
        assert failure is not None
        if wait and (spec.kind, spec.name) not in NO_RETRY_AFTER:
            assert failure.retry_after_seconds == wait


@remote
async def test_a_connection_that_is_cut_is_told(spec: ProviderSpec) -> None:
    cut = Behaviour(drop_after_bytes=60 if spec.kind == "llm" else 800)
    if (spec.kind, spec.name) in WHOLE_ANSWERS:
        cut = Behaviour(drop_after_ms=0)
    async with simulated(spec) as simulator:
        assert simulator is not None
        simulator.behave(cut)
        await fails(spec, simulator.base_url, {"dropped", "server", "error"})


async def fails(spec: ProviderSpec, base_url: str, kinds: set[FailureKind]) -> ErrorFrame:
    """Give a service work, and see its one failure come."""
    async with serving(spec, base_url) as line:
        if not line.of(ErrorFrame):
            await use(spec.kind, line, RATE_HZ)
        async with silence(line, spec), undisturbed(TOLD_SECONDS):
            frame = await line.first(ErrorFrame)
        failure = failure_of(frame)
        assert failure is not None and failure.kind in kinds, frame
    assert len(line.of(ErrorFrame)) == 1, line.of(ErrorFrame)
    return frame
