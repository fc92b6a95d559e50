"""What ``POST /v1/messages`` accepts, and what it says of anything else."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulators.base import names

_PARAMETERS: Final = names(
    "model messages max_tokens system stream temperature top_k top_p stop_sequences metadata"
    " tools tool_choice thinking output_config service_tier container context_management"
    " mcp_servers inference_geo"
)
_BLOCKS: Final = {
    "user": names("text image document tool_result"),
    "assistant": names("text thinking redacted_thinking tool_use"),
}
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class InvalidRequest(ValueError):
    """A request that is refused with 400."""


def check_request(body: Any) -> Mapping[str, Any]:
    """Check a request's body.

    Raises:
        InvalidRequest: What is wrong with it.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("The request body is not valid JSON.")
    if unknown := sorted(set(body) - _PARAMETERS):
        raise InvalidRequest(f"{unknown[0]}: Extra inputs are not permitted")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise InvalidRequest("model: Field required")
    limit = body.get("max_tokens")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidRequest("max_tokens: Input should be greater than or equal to 1")
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and not 0 <= value <= 1:
            raise InvalidRequest(f"{name}: range: 0..1")
    _check_system(body.get("system"))
    _check_tools(body)
    _check_messages(body.get("messages"))
    return body


def _check_system(system: Any) -> None:
    if system is None or (isinstance(system, str) and system):
        return
    if not isinstance(system, list) or not all(_is_text(block) for block in system):
        raise InvalidRequest("system: Input should be a valid string or a list of text blocks")


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and bool(block.get("text"))


def _check_tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    if not tools:
        if body.get("tool_choice") is not None:
            raise InvalidRequest("tool_choice may only be specified while providing tools.")
        return
    for number, tool in enumerate(tools):
        if not _TOOL_NAME.fullmatch(str(tool.get("name", ""))):
            raise InvalidRequest(f"tools.{number}.name: Field required")
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise InvalidRequest(f"tools.{number}.input_schema.type: Field required")


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages: at least one message is required")
    open_uses: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _BLOCKS:
            raise InvalidRequest(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        blocks = _blocks(message.get("content"), role, number)
        results = {str(b.get("tool_use_id")) for b in blocks if b.get("type") == "tool_result"}
        if results != open_uses:
            raise InvalidRequest(
                f"messages.{number}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after, or the other way round: {sorted(results ^ open_uses)}"
            )
        open_uses = {str(b.get("id")) for b in blocks if b.get("type") == "tool_use"}
    if messages[0]["role"] != "user":
        raise InvalidRequest("messages: first message must use the user role")
    if messages[-1]["role"] != "user":
        raise InvalidRequest("This model does not support assistant message prefill.")


def _blocks(content: Any, role: str, number: int) -> Sequence[Mapping[str, Any]]:
    if isinstance(content, str) and content.strip():
        return ()
    if not isinstance(content, list) or not content:
        raise InvalidRequest(f"messages.{number}: content must be non-empty")
    for block in content:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _BLOCKS[role]:
            raise InvalidRequest(f"messages.{number}.content: {kind!r} is not for the {role}")
        if kind == "text" and not str(block.get("text", "")).strip():
            raise InvalidRequest(f"messages.{number}: text content blocks must be non-empty")
    return content
