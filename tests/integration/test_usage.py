"""What a call took of its model, in the record that is kept of it."""

from pathlib import Path
from typing import Any

import pytest

from simulators.openai import OpenAISimulator
from simulators.openai.reply import Reply
from simulators.speech import Speech
from tests.integration.server import BRISK_AGENT, running_server

PRICES = {"llm": {"openai": {"per_million_input_tokens": 1e6, "per_million_output_tokens": 1000.0}}}


@pytest.mark.parametrize("told", [True, False])
async def test_a_record_tells_tokens_and_cost_where_the_model_does(
    tmp_path: Path, speech: Speech, told: bool
) -> None:
    reply = Reply(text="We open at nine.", sends_usage=told)
    agent: dict[str, Any] = {**BRISK_AGENT, "llm": {"provider": "openai"}}
    async with OpenAISimulator(replies=[reply]) as model:
        env = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "o", "DEFAULT_AGENT": "brisk"}
        async with running_server(
            tmp_path, {"brisk": agent}, env, changes={"prices": PRICES}
        ) as server:
            async with server.program(speech) as caller:
                await caller.listen_until_quiet(300, 10_000)
                for _ in range(2):
                    caller.text("When do you open?")
                    await caller.wait_for_speech()
                    await caller.listen_until_quiet(300, 10_000)
            record = await server.one_record()
    assert model.violations == [] and len(model.chats) == 2
    if not told:
        assert record["usage"]["llm"] == []
        return
    (used,) = record["usage"]["llm"]
    assert (used["provider"], used["requests"]) == ("openai", 2)
    # The second question comes with the first and its answer.
    assert used["input_tokens"] > 2 * used["output_tokens"] > 0
    cost = used["input_tokens"] + used["output_tokens"] / 1000
    assert record["cost"]["parts"]["llm.openai"] == pytest.approx(cost)
