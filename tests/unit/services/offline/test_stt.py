"""Frames in, frames out."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import run_test

from config.errors import ProviderError
from services.offline import OfflineSTTOptions
from services.offline.frames import UnrecognizedSpeechFrame
from services.offline.process import RecognizerProcess
from services.offline.stt import OfflineSTTService
from services.offline.vocabulary import Vocabulary
from services.offline.wire import Recognition
from tests.unit.services.offline.speech import silence, spoken

VOCABULARY = Vocabulary(("talk to a person", "cancel my booking"), "en-us")


class Answering(RecognizerProcess):
    """Answers without a child; remembers what it was given."""

    def __init__(self, answer: Recognition | ProviderError) -> None:
        super().__init__()
        self.answer = answer
        self.prepared = asyncio.Event()
        self.heard: list[bytes] = []

    async def prepare(self, vocabulary: Vocabulary) -> None:
        self.prepared.set()

    async def recognize(
        self, vocabulary: Vocabulary, pcm: bytes, *, rate_hz: int, sensitivity: float
    ) -> Recognition:
        self.heard.append(pcm)
        if isinstance(self.answer, ProviderError):
            raise self.answer
        return self.answer


@pytest.fixture
async def process() -> AsyncIterator[RecognizerProcess]:
    made = RecognizerProcess(deadline_seconds=60)
    yield made
    made.close()


def recognition(*, accepted: bool = True, seconds: float = 1.0) -> Recognition:
    return Recognition("talk to a person", 0.9, accepted, seconds)


def utterance(pcm: bytes, *, rate_hz: int = 8_000) -> list[Frame]:
    """Speech in packets of 20 ms between the marks of voice activity."""
    packet = rate_hz // 50 * 2
    audio = [
        InputAudioRawFrame(pcm[at : at + packet], rate_hz, 1) for at in range(0, len(pcm), packet)
    ]
    return [
        *audio[:10],
        VADUserStartedSpeakingFrame(start_secs=0.2),
        *audio[10:],
        VADUserStoppedSpeakingFrame(stop_secs=0.2),
    ]


async def hear(
    process: RecognizerProcess,
    frames: Sequence[Frame],
    options: OfflineSTTOptions | None = None,
    rate_hz: int = 8_000,
) -> tuple[Sequence[Frame], Sequence[Frame]]:
    """Frames that came out behind and in front of the service."""
    service = OfflineSTTService(
        vocabulary=VOCABULARY,
        options=options or OfflineSTTOptions(),
        rate_hz=rate_hz,
        process=process,
    )
    return await run_test(
        service,
        frames_to_send=frames,
        pipeline_params=PipelineParams(audio_in_sample_rate=rate_hz),
        start_timeout=30,
    )


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_phrase_becomes_a_final_transcript(
    process: RecognizerProcess, rate_hz: int
) -> None:
    pcm = spoken("talk to a person", "en-us+m1", rate_hz=rate_hz)
    down, _ = await hear(process, utterance(pcm, rate_hz=rate_hz), rate_hz=rate_hz)
    (transcript,) = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    assert transcript.text == "talk to a person"
    assert transcript.finalized
    assert transcript.result is not None
    assert transcript.result.confidence > 0.5
    assert not any(isinstance(frame, UnrecognizedSpeechFrame) for frame in down)


async def test_anything_else_is_reported_as_not_understood(process: RecognizerProcess) -> None:
    pcm = spoken("purple elephants dance at night", "en-us+m1")
    down, _ = await hear(process, utterance(pcm))
    (unknown,) = [frame for frame in down if isinstance(frame, UnrecognizedSpeechFrame)]
    assert unknown.confidence < 0.5
    assert unknown.duration_seconds > 1
    assert not any(isinstance(frame, TranscriptionFrame) for frame in down)


async def test_audio_stops_here_and_voice_activity_goes_on() -> None:
    down, _ = await hear(Answering(recognition()), utterance(silence(1)))
    kinds = [type(frame) for frame in down]
    assert InputAudioRawFrame not in kinds
    assert VADUserStartedSpeakingFrame in kinds
    assert VADUserStoppedSpeakingFrame in kinds


async def test_every_utterance_is_answered_in_order() -> None:
    process = Answering(recognition())
    down, _ = await hear(process, [*utterance(silence(1)), *utterance(silence(2))])
    assert sum(isinstance(frame, TranscriptionFrame) for frame in down) == 2
    assert len(process.heard[0]) < len(process.heard[1])


async def test_the_vocabulary_is_made_ready_before_anybody_speaks() -> None:
    process = Answering(recognition())
    await hear(process, [])
    assert process.prepared.is_set()


async def test_a_failed_recogniser_is_an_error_and_ends_the_turn() -> None:
    error = ProviderError("busy", "too many", provider="offline", stage="stt", retryable=True)
    down, up = await hear(Answering(error), utterance(silence(1)))
    (reported,) = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert reported.exception is error
    assert any(isinstance(frame, UnrecognizedSpeechFrame) for frame in down)


async def test_a_click_is_not_a_phrase() -> None:
    down, _ = await hear(Answering(recognition(seconds=0.05)), utterance(silence(1)))
    assert not any(isinstance(frame, TranscriptionFrame) for frame in down)
    assert any(isinstance(frame, UnrecognizedSpeechFrame) for frame in down)


async def test_endless_speech_is_neither_kept_nor_recognised() -> None:
    process = Answering(recognition())
    options = OfflineSTTOptions(max_speech_seconds=1)
    down, _ = await hear(process, utterance(silence(30)), options)
    assert process.heard == []
    (unknown,) = [frame for frame in down if isinstance(frame, UnrecognizedSpeechFrame)]
    assert unknown.duration_seconds < 3
