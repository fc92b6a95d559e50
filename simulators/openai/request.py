"""What ``POST /v1/chat/completions`` accepts, and what it says of anything else."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulators.base import names

_PARAMETERS: Final = names(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs"
    " max_completion_tokens max_tokens metadata modalities n parallel_tool_calls prediction"
    " presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort response_format"
    " safety_identifier seed service_tier stop store stream stream_options temperature"
    " tool_choice tools top_logprobs top_p user verbosity web_search_options"
)
_ROLES: Final = names("developer system user assistant tool function")
_RANGES: Final = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
    "max_tokens": (1.0, 1e6),
    "max_completion_tokens": (1.0, 1e6),
    "n": (1.0, 1.0),
}
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class InvalidRequest(ValueError):
    """A request that is refused with 400.

    Attributes:
        param: The parameter that is wrong.
        code: OpenAI's error code.
    """

    def __init__(self, text: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(text)
        self.param = param
        self.code = code


def check_request(body: Any, extra_parameters: frozenset[str]) -> Mapping[str, Any]:
    """Check a request's body.

    Args:
        body: Decoded JSON.
        extra_parameters: Allowed besides OpenAI's own, as other servers do.

    Raises:
        InvalidRequest: What is wrong with it.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("We could not parse the JSON body of your request.")
    for name in body:
        if name not in _PARAMETERS and name not in extra_parameters:
            raise InvalidRequest(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise InvalidRequest("you must provide a model parameter", "model")
    _check_numbers(body)
    _check_stream(body)
    _check_tools(body)
    _check_messages(body.get("messages"))
    return body


def _check_numbers(body: Mapping[str, Any]) -> None:
    for name, (lowest, highest) in _RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRequest(f"Invalid type for '{name}'.", name, "invalid_type")
        if not lowest <= value <= highest:
            raise InvalidRequest(
                f"Invalid '{name}': {value} is not in {lowest:g} to {highest:g}.", name
            )
    if body.get("max_tokens") and body.get("max_completion_tokens"):
        raise InvalidRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )


def _check_stream(body: Mapping[str, Any]) -> None:
    stream, options = body.get("stream"), body.get("stream_options")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("Invalid type for 'stream'.", "stream", "invalid_type")
    if options is not None and not stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )


def _check_tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    if tools is None:
        if body.get("tool_choice") not in (None, "none"):
            raise InvalidRequest(
                "'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"
            )
        return
    if not isinstance(tools, list) or not tools:
        raise InvalidRequest("Invalid 'tools': empty array.", "tools", "empty_array")
    for number, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
            raise InvalidRequest(
                f"Invalid 'tools[{number}].function.name': {name!r}.",
                f"tools[{number}].function.name",
                "invalid_value",
            )


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("Invalid 'messages': empty array.", "messages", "empty_array")
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _ROLES:
            raise InvalidRequest(
                f"Invalid value: {role!r} as '{where}.role'.", f"{where}.role", "invalid_value"
            )
        if open_calls and role != "tool":
            raise _unanswered(open_calls, where)
        if role == "tool":
            _close_call(message, open_calls, where)
        elif role == "assistant" and message.get("tool_calls"):
            open_calls = _open_calls(message["tool_calls"], where)
        elif not _has_content(message):
            raise InvalidRequest(
                f"Invalid value for 'content': expected a string, got {where}.",
                f"{where}.content",
                "invalid_type",
            )
    if open_calls:
        raise _unanswered(open_calls, "messages")


def _has_content(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if isinstance(content, list):
        return all(isinstance(part, dict) and "type" in part for part in content)
    return isinstance(content, str)


def _open_calls(calls: Sequence[Any], where: str) -> set[str]:
    found: set[str] = set()
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
            raise InvalidRequest(
                f"Invalid type for '{where}.tool_calls': arguments must be a string.",
                f"{where}.tool_calls",
                "invalid_type",
            )
        found.add(str(call.get("id")))
    return found


def _close_call(message: Mapping[str, Any], open_calls: set[str], where: str) -> None:
    call_id = message.get("tool_call_id")
    if call_id not in open_calls:
        raise InvalidRequest(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding"
            " message with 'tool_calls'.",
            f"{where}.role",
        )
    open_calls.discard(str(call_id))


def _unanswered(open_calls: set[str], where: str) -> InvalidRequest:
    return InvalidRequest(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to"
        f" each 'tool_call_id'. These had none: {', '.join(sorted(open_calls))}",
        where,
    )
