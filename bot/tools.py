"""What a language model may do besides talking: end the call, hand it over, change its language."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.processors.aggregators.llm_context import NOT_GIVEN
from pipecat.services.llm_service import FunctionCallParams

from bot.language import LanguageSwitch, Outcome
from config.agent import AgentConfig
from config.languages import LANGUAGES, is_language, resolve_language
from services.actions import CallActionFrame

#: Why a model's tool ended the call, as its action's reason.
TOOL_REASON = "tool"

Handler = Callable[[FunctionCallParams], Awaitable[None]]


def agent_tools(agent: AgentConfig, languages: LanguageSwitch | None = None) -> Any:
    """The tools that the agent's file allows, as Pipecat takes them; NOT_GIVEN for none."""
    builders = {"end_call": _end_call, "transfer": _transfer}
    tools: list[Any] = [builders[name](agent) for name in agent.tools if name in builders]
    if languages is not None and agent.may_switch_by_tool:
        tools.append(_switch_language(agent, languages))
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


def _switch_language(agent: AgentConfig, languages: LanguageSwitch) -> FunctionSchema:
    named = "; ".join(f"{code}: {_named(code)}" for code in agent.spoken_languages)

    async def handle(params: FunctionCallParams) -> None:
        asked_at = asyncio.get_running_loop().time()
        wanted = str(params.arguments.get("language"))
        code = resolve_language(wanted) if is_language(wanted) else wanted
        outcome = await languages.prepare(code)
        if outcome == "ready":
            await languages.turn_now(code, "tool", asked_at)
        await params.result_callback(_told(outcome, code, agent, languages.language))

    return FunctionSchema(
        name="switch_language",
        description="Go on in another language, when the caller asks for it or speaks it. Say "
        "nothing before this; answer in the new language once it is done.",
        properties={
            "language": {
                "type": "string",
                "enum": list(agent.spoken_languages),
                "description": f"The language to speak from now on: {named}.",
            }
        },
        required=["language"],
        handler=handle,
    )


def _told(outcome: Outcome, code: str, agent: AgentConfig, spoken: str) -> dict[str, str]:
    """What a model is told of its wish for another language."""
    if outcome == "not_spoken":
        allowed = ", ".join(_named(code) for code in agent.spoken_languages)
        return {"error": f"that language is not spoken here; there are {allowed}"}
    if outcome == "unavailable":
        return {"error": f"{_named(code)} cannot be spoken now; go on in {_named(spoken)}"}
    return {"status": "done", "answer_in": _named(code)}


def _named(code: str) -> str:
    language = LANGUAGES[code]
    return f"{language.name} ({language.native_name})"


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
