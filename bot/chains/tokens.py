"""How many tokens a model says that a request took, in one way of counting for all vendors."""

from collections.abc import Iterator
from typing import NamedTuple

from pipecat.frames.frames import MetricsFrame
from pipecat.metrics.metrics import LLMTokenUsage, LLMUsageMetricsData


class Tokens(NamedTuple):
    """What one request took.

    Attributes:
        asked: Of the question, those read from or written to a cache too.
        answered: Of the answer, thoughts too.
    """

    asked: int
    answered: int


def tokens_of(frame: MetricsFrame) -> Iterator[Tokens]:
    """The requests that a frame reports; one in which nothing was counted is none."""
    for data in frame.data:
        if isinstance(data, LLMUsageMetricsData):
            tokens = Tokens(_asked(data.value), data.value.completion_tokens)
            if any(tokens):
                yield tokens


def _asked(usage: LLMTokenUsage) -> int:
    """Anthropic leaves the cache's tokens out of the question's; the others count them in.

    Pipecat's total is with them either way, which tells the one from the other.
    """
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    whole = usage.prompt_tokens + cached
    is_net = usage.total_tokens == whole + usage.completion_tokens
    return whole if is_net else usage.prompt_tokens
