"""When a vendor gives more than any caller could say or hear: it counts as failed.

What it gave up to there is used; then it is thrown away with all that it still holds, as with
any other failure, and the next vendor goes on.
"""

from typing import Final

from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.processors.aggregators.llm_context import LLMContext

from bot.allowance import Allowance
from services.offline.frames import UnrecognizedSpeechFrame

#: Results of a recogniser, interim ones too. Those that tell most give 20 a second; a replay of
#: ten seconds brings as many at once as those took to be said.
RESULTS_PER_SECOND: Final = 50.0
RESULTS_AT_ONCE: Final = 250.0
#: Letters of final texts. Nobody says more than 25 in a second; vendors that read utterances
#: give a long one whole.
TEXT_PER_SECOND: Final = 60.0
TEXT_AT_ONCE: Final = 6000.0
#: The longest answer that is spoken: at 13 letters a second, over twenty minutes.
MAX_ANSWER_LETTERS: Final = 16_000
#: The most that a model may think before it answers, of which nobody hears a word.
MAX_THOUGHT_LETTERS: Final = 200_000
#: How often in a row a model may call tools before it has to answer the caller.
MAX_TOOL_ROUNDS: Final = 12


class HeardAllowance:
    """Judges what one connection of a recogniser gives."""

    def __init__(self) -> None:
        self._results = Allowance(RESULTS_PER_SECOND, RESULTS_AT_ONCE)
        self._letters = Allowance(TEXT_PER_SECOND, TEXT_AT_ONCE)

    def too_much(self, frame: Frame, now: float) -> str | None:
        """Why ``frame``, which comes at loop time ``now``, is more than a caller can say.

        Returns:
            None where it is not.
        """
        if isinstance(frame, (TranscriptionFrame, InterimTranscriptionFrame)):
            letters = len(frame.text)
        elif isinstance(frame, UnrecognizedSpeechFrame):
            letters = 0
        else:
            return None
        if not self._results.take(now):
            return f"over {RESULTS_PER_SECOND:.0f} results a second"
        is_final = isinstance(frame, TranscriptionFrame)
        if letters > TEXT_AT_ONCE or (is_final and not self._letters.take(now, letters)):
            return f"over {TEXT_PER_SECOND:.0f} letters a second"
        return None


class ToolRounds:
    """Counts how often in a row a model calls tools and does not answer the caller."""

    def __init__(self) -> None:
        self._count = 0

    def too_many(self, context: LLMContext) -> str | None:
        """Why the question of ``context`` is one too many; counting begins anew then.

        Returns:
            None where it is not.
        """
        roles = (m.get("role") for m in reversed(context.messages) if isinstance(m, dict))
        last = next((role for role in roles if role in ("user", "assistant", "tool")), None)
        self._count = self._count + 1 if last == "tool" else 0
        if self._count <= MAX_TOOL_ROUNDS:
            return None
        self._count = 0
        return f"tools were called {MAX_TOOL_ROUNDS} times in a row, without an answer"
