"""Every vendor's tokens are counted alike."""

import pytest
from pipecat.frames.frames import MetricsFrame
from pipecat.metrics.metrics import LLMTokenUsage, LLMUsageMetricsData, TTFBMetricsData

from bot.chains.tokens import Tokens, tokens_of


def frame(**counts: int) -> MetricsFrame:
    usage = LLMUsageMetricsData(processor="a model", value=LLMTokenUsage(**counts))
    return MetricsFrame(data=[TTFBMetricsData(processor="a model", value=0.1), usage])


@pytest.mark.parametrize(
    ("counts", "tokens"),
    [
        ({"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 79}, Tokens(70, 9)),
        # OpenAI's way: the cache's tokens are among the question's.
        (
            {
                "prompt_tokens": 70,
                "completion_tokens": 9,
                "total_tokens": 79,
                "cache_read_input_tokens": 64,
            },
            Tokens(70, 9),
        ),
        # Anthropic's: they come beside them.
        (
            {
                "prompt_tokens": 6,
                "completion_tokens": 9,
                "total_tokens": 89,
                "cache_read_input_tokens": 64,
                "cache_creation_input_tokens": 10,
            },
            Tokens(80, 9),
        ),
        # A server that adds nothing up.
        ({"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 0}, Tokens(70, 9)),
    ],
)
def test_a_question_is_counted_with_what_the_cache_had_of_it(
    counts: dict[str, int], tokens: Tokens
) -> None:
    assert list(tokens_of(frame(**counts))) == [tokens]


def test_a_request_in_which_nothing_was_counted_is_none() -> None:
    assert list(tokens_of(frame(prompt_tokens=0, completion_tokens=0, total_tokens=0))) == []
