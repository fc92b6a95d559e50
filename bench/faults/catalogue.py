"""The calls: each fault of each vendor, with somebody behind it and with nobody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bench.faults.fault import Fault, Heard
from bench.faults.llm_faults import llm_faults
from bench.faults.stt_faults import stt_faults
from bench.faults.tts_faults import tts_faults

Stage = Literal["stt", "llm", "tts"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call.

    Attributes:
        number: Unique; names the agent.
        provider: Whose fault it is.
        fallback: Who stands behind it, or None.
    """

    number: int
    stage: Stage
    provider: str
    fallback: str | None
    fault: Fault

    @property
    def agent_id(self) -> str:
        """Its agent."""
        return f"fault-{self.number}"

    @property
    def name(self) -> str:
        """Such as ``tts: cartesia: hangs, then sarvam``."""
        behind = f"then {self.fallback}" if self.fallback else "nobody left"
        return f"{self.stage}: {self.provider}: {self.fault.row}, {behind}"

    @property
    def expected(self) -> Heard:
        """What is to be heard."""
        return self.fault.behind if self.fallback else self.fault.alone


#: Who stands behind whom.
BEHIND: Final[Mapping[tuple[Stage, str], str]] = {
    ("stt", "deepgram"): "bhashini",
    ("stt", "bhashini"): "deepgram",
    ("stt", "ai4bharat"): "deepgram",
    ("llm", "openai"): "groq",
    ("llm", "kenpath"): "openai",
    ("tts", "cartesia"): "sarvam",
    ("tts", "sarvam"): "cartesia",
    ("tts", "ai4bharat"): "cartesia",
    ("tts", "bhashini"): "sarvam",
}


def catalogue() -> Iterator[Scenario]:
    """Every fault of every vendor, with somebody behind it and with nobody."""
    number = 0
    of_stage = {"stt": stt_faults, "llm": llm_faults, "tts": tts_faults}
    for (stage, provider), behind in BEHIND.items():
        for fault in of_stage[stage](provider):
            for fallback in (behind, None):
                yield Scenario(number, stage, provider, fallback, fault)
                number += 1
