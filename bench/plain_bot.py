"""The bot to compare with: Pipecat as its templates write it, with the ``pipecat-vobiz`` package.

    python -m bench.plain_bot --port 8000 --deepgram-url … --openai-url … --cartesia-url …

It follows what ``pipecat init --bot-type telephony --stt deepgram_stt --llm openai_llm --tts
cartesia_tts --recording`` generates and the README of ``pipecat-vobiz``, with everything at its
default: Silero and Smart Turn per call, RTVI and metrics on, uvicorn as it comes. It is spared
three things: logging is at INFO and not at DEBUG, the carrier's REST interface is not called at
the end, and recordings are written in a thread.
"""

import argparse
import asyncio
import sys
import wave
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.audio.audio_buffer_processor import AudioBufferProcessor
from pipecat.serializers.vobiz import VobizFrameSerializer, parse_vobiz_start
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.workers.runner import WorkerRunner

_INSTRUCTION = (
    "You are a helpful assistant in a voice conversation. Your responses will be spoken aloud, "
    "so avoid emojis, bullet points, or other formatting that can't be spoken. Respond to what "
    "the user said in a creative, helpful, and brief way."
)
_VOICE = "86e30c1d-714b-4074-a1f2-1cb6b552fb49"


def _save_wav(file: Path, audio: bytes, sample_rate: int, num_channels: int) -> None:
    with wave.open(str(file), "wb") as recording:
        recording.setsampwidth(2)
        recording.setnchannels(num_channels)
        recording.setframerate(sample_rate)
        recording.writeframes(audio)


async def _run_bot(transport: BaseTransport, options: argparse.Namespace) -> None:
    stt = DeepgramSTTService(api_key=options.key, base_url=options.deepgram_url)
    tts = CartesiaTTSService(
        api_key=options.key,
        url=options.cartesia_url.replace("http", "ws", 1) + "/tts/websocket",
        settings=CartesiaTTSService.Settings(voice=_VOICE),
    )
    llm = OpenAILLMService(
        api_key=options.key,
        base_url=options.openai_url,
        settings=OpenAILLMService.Settings(model="gpt-4.1", system_instruction=_INSTRUCTION),
    )
    context = LLMContext()
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    audio_buffer = AudioBufferProcessor(auto_start_recording=True)
    pipeline = Pipeline(
        [
            transport.input(),
            stt,
            user_aggregator,
            llm,
            tts,
            transport.output(),
            audio_buffer,
            assistant_aggregator,
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(
            enable_metrics=True,
            enable_usage_metrics=True,
            audio_in_sample_rate=8000,
            audio_out_sample_rate=8000,
        ),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")  # type: ignore[untyped-decorator]
    async def on_client_connected(_transport: BaseTransport, _client: WebSocket) -> None:
        logger.info("Client connected")
        context.add_message(
            {"role": "developer", "content": "Start by concisely introducing yourself."}
        )
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
    async def on_client_disconnected(_transport: BaseTransport, _client: WebSocket) -> None:
        logger.info("Client disconnected")
        await runner.cancel()

    @audio_buffer.event_handler("on_audio_data")  # type: ignore[untyped-decorator]
    async def on_audio_data(
        _buffer: AudioBufferProcessor, audio: bytes, sample_rate: int, num_channels: int
    ) -> None:
        file = options.recordings / f"{uuid4()}.wav"
        await asyncio.to_thread(_save_wav, file, audio, sample_rate, num_channels)

    await runner.run()


async def _answer(websocket: WebSocket, options: argparse.Namespace) -> None:
    await websocket.accept()
    parsed: dict[str, Any] = await parse_vobiz_start(websocket)
    serializer = VobizFrameSerializer(
        stream_id=parsed["stream_id"],
        call_id=parsed["call_id"],
        params=VobizFrameSerializer.InputParams(
            encoding=parsed["encoding"] or "audio/x-mulaw",
            vobiz_sample_rate=parsed["sample_rate"] or 8000,
            hangup_method="ws_stop",
        ),
    )
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            add_wav_header=False,
            serializer=serializer,
        ),
    )
    await _run_bot(transport, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.plain_bot")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deepgram-url", required=True)
    parser.add_argument("--openai-url", required=True)
    parser.add_argument("--cartesia-url", required=True)
    parser.add_argument("--key", default=uuid4().hex, help="for all three")
    parser.add_argument("--recordings", type=Path, required=True, help="folder")
    return parser.parse_args()


def main() -> None:
    """Serve until told to stop."""
    options = _options()
    logger.remove()
    logger.add(sys.stderr, level="INFO")
    app = FastAPI()

    @app.websocket("/ws")
    async def websocket_endpoint(websocket: WebSocket) -> None:
        await _answer(websocket, options)

    uvicorn.run(app, host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
