"""The frame that says: somebody spoke, and it was nothing this agent knows."""

from dataclasses import dataclass

from pipecat.frames.frames import DataFrame


@dataclass
class UnrecognizedSpeechFrame(DataFrame):
    """Speech that ended without a transcript, because it matched no phrase well enough.

    It is pushed downstream where a ``TranscriptionFrame`` would have been. Without it a turn
    that was not understood would only end by a timeout, and nobody could ask again.

    Parameters:
        confidence: How likely the best phrase was all the same, 0 to 1.
        duration_seconds: Length of the speech.
        answered: Whether the recogniser gave any sign of life; if it did not, it may as well
            be that it hears nothing any more.
    """

    confidence: float = 0.0
    duration_seconds: float = 0.0
    answered: bool = True
