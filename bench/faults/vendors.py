"""The simulated vendors of these calls: what they hear, answer and say, and how to reach them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.faults.words import ANSWER, PIECE, TONES, UNDERSTOOD, WHOLE_SHARE
from simulators.ai4bharat import AI4BharatSTTSimulator, AI4BharatTTSSimulator
from simulators.base import Simulator
from simulators.bhashini import BhashiniSimulator
from simulators.cartesia import CartesiaSimulator
from simulators.deepgram import DeepgramSimulator
from simulators.kenpath import KenpathSimulator
from simulators.openai import OpenAISimulator
from simulators.openai.reply import ChatRequest, Reply
from simulators.openai.vendors import GroqSimulator
from simulators.sarvam import SarvamSimulator

#: How fast voices come while phrases are made, and in calls, in multiples of real time.
HASTY: Final = 1000.0
USUAL: Final = 4.0
WORDS_PER_SECOND: Final = 20.0
KEY: Final = "simulated-key"

ReplyFields = Mapping[str, Any]


@dataclass(slots=True)
class Script:
    """What all vendors of a run go by.

    Attributes:
        question_ms: How long the callers' question is.
        key_file: Of the key that Kenpath's tokens are signed with.
    """

    question_ms: float
    key_file: Path

    def understood(self, duration_ms: float) -> str:
        """What is made of so much speech."""
        return UNDERSTOOD if duration_ms >= WHOLE_SHARE * self.question_ms else PIECE


def reply_to(chat: ChatRequest) -> str:
    """The answer, or the rest of one that had broken off."""
    said = [message for message in chat.messages if message["role"] == "assistant"]
    asked_to_go_on = len(chat.messages) > 1 and chat.messages[-2]["role"] == "assistant"
    if said and asked_to_go_on:
        before = str(said[-1].get("content") or "")
        if before and before != ANSWER and ANSWER.startswith(before):
            return ANSWER[len(before) :].lstrip()
    return ANSWER


class Replies:
    """What a chat model answers, and what goes wrong with it; changed while it runs."""

    def __init__(self) -> None:
        self.broken: ReplyFields = {}
        self.broken_left = 0

    def __call__(self, chat: ChatRequest) -> Reply:
        """One answer."""
        fields: ReplyFields = {}
        if self.broken_left:
            self.broken_left -= 1
            fields = self.broken
        return Reply(text=reply_to(chat), tokens_per_second=WORDS_PER_SECOND, **fields)


def _deepgram(script: Script) -> Simulator:
    return DeepgramSimulator(utterances=lambda heard: script.understood(heard.duration_ms))


def _bhashini_stt(script: Script) -> Simulator:
    return BhashiniSimulator(texts=lambda heard: script.understood(heard.duration_ms))


def _ai4bharat_stt(script: Script) -> Simulator:
    return AI4BharatSTTSimulator(texts=lambda heard: script.understood(heard.duration_ms))


def _openai(_script: Script) -> Simulator:
    return OpenAISimulator(replies=Replies())


def _groq(_script: Script) -> Simulator:
    return GroqSimulator(replies=Replies())


def _kenpath(_script: Script) -> Simulator:
    return KenpathSimulator(answers=(ANSWER,), words_per_second=WORDS_PER_SECOND)


def _cartesia(_script: Script) -> Simulator:
    return CartesiaSimulator(voice=TONES.voice("cartesia"), speed=HASTY)


def _sarvam(_script: Script) -> Simulator:
    return SarvamSimulator(voice=TONES.voice("sarvam"), speed=HASTY)


def _ai4bharat_tts(_script: Script) -> Simulator:
    return AI4BharatTTSSimulator(voice=TONES.voice("ai4bharat"), speed=HASTY)


def _bhashini_tts(_script: Script) -> Simulator:
    return BhashiniSimulator(voice=TONES.voice("bhashini"))


#: By stage and provider.
MAKERS: Final[Mapping[tuple[str, str], Callable[[Script], Simulator]]] = {
    ("stt", "deepgram"): _deepgram,
    ("stt", "bhashini"): _bhashini_stt,
    ("stt", "ai4bharat"): _ai4bharat_stt,
    ("llm", "openai"): _openai,
    ("llm", "groq"): _groq,
    ("llm", "kenpath"): _kenpath,
    ("tts", "cartesia"): _cartesia,
    ("tts", "sarvam"): _sarvam,
    ("tts", "ai4bharat"): _ai4bharat_tts,
    ("tts", "bhashini"): _bhashini_tts,
}


def options(stage: str, provider: str, simulator: Simulator, script: Script) -> dict[str, Any]:
    """What an agent's file says of a provider."""
    if provider == "ai4bharat":
        return {"base_url": simulator.base_url}
    if provider == "kenpath":
        return {
            "base_url": simulator.base_url,
            "jwt_phone": "910000000000",
            "jwt_private_key_path": str(script.key_file),
        }
    return {"base_url": simulator.base_url, "api_key": KEY}


def take_usual_time(simulator: Simulator) -> None:
    """Have a voice come no faster than usual."""
    if hasattr(simulator, "speed"):
        simulator.speed = USUAL
