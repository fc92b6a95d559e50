"""Stand-ins for AI4Bharat's servers."""

from simulators.ai4bharat.stt import AI4BharatSTTSimulator, Segment
from simulators.ai4bharat.tts import AI4BharatTTSSimulator, Synthesis

__all__ = ["AI4BharatSTTSimulator", "AI4BharatTTSSimulator", "Segment", "Synthesis"]
