"""What a language model may do besides talking: end the call, hand it over."""

from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.processors.aggregators.llm_context import NOT_GIVEN
from pipecat.services.llm_service import FunctionCallParams

from config.agent import AgentConfig
from services.actions import CallActionFrame

#: Why a model's tool ended the call, as its action's reason.
TOOL_REASON = "tool"

Handler = Callable[[FunctionCallParams], Awaitable[None]]


def agent_tools(agent: AgentConfig) -> Any:
    """The tools that the agent's file allows, as Pipecat takes them; NOT_GIVEN for none."""
    builders = {"end_call": _end_call, "transfer": _transfer}
    tools: list[Any] = [builders[name](agent) for name in agent.tools]
    return ToolsSchema(standard_tools=tools) if tools else NOT_GIVEN


def _end_call(_agent: AgentConfig) -> FunctionSchema:
    return FunctionSchema(
        name="end_call",
        description="End the phone call. Say goodbye in the same answer.",
        properties={},
        required=[],
        handler=_acting(lambda _: CallActionFrame(action="end", reason=TOOL_REASON)),
    )


def _transfer(agent: AgentConfig) -> FunctionSchema:
    targets = sorted(agent.call.transfer_to)
    return FunctionSchema(
        name="transfer",
        description="Hand the caller over to a person. Tell the caller in the same answer.",
        properties={
            "to": {"type": "string", "enum": targets, "description": "Who takes the call."}
        },
        required=["to"],
        handler=_acting(lambda arguments: _transfer_frame(arguments, targets)),
    )


def _transfer_frame(arguments: dict[str, Any], targets: list[str]) -> CallActionFrame | None:
    """The action, or None for a target that the agent's file does not list."""
    target = arguments.get("to")
    if target not in targets:
        return None
    return CallActionFrame(action="transfer", target=str(target), reason=TOOL_REASON)


def _acting(make: Callable[[dict[str, Any]], CallActionFrame | None]) -> Handler:
    """A handler that sends an action down the pipeline, behind the words of the answer."""

    async def handle(params: FunctionCallParams) -> None:
        frame = make(dict(params.arguments))
        if frame is None:
            await params.result_callback({"error": "that target is not allowed"})
            return
        await params.llm.push_frame(frame)
        await params.result_callback(
            {"status": "done"}, properties=FunctionCallResultProperties(run_llm=False)
        )

    return handle
