"""Takes half characters out of what vendors say, where it enters a call.

JSON may hold half of a surrogate pair (``\\ud83d``), and Python's reader lets it through; no
encoder will have it. In the conversation it would fail every request that follows. Halves that
come one after the other, as models send them piece by piece, are put together.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterimTranscriptionFrame,
    LLMTextFrame,
    LLMThoughtTextFrame,
    TextFrame,
    TranscriptionFrame,
)

_TOOL_FRAMES = (
    FunctionCallsStartedFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallCancelFrame,
)
_TEXT_FRAMES = (TextFrame, LLMThoughtTextFrame, TranscriptionFrame, InterimTranscriptionFrame)
#: What a tool frame has from the vendor; the rest of it is Pipecat's.
_TOOL_FIELDS = ("function_name", "tool_call_id", "arguments", "result")


def whole_text(text: str) -> str:
    """The text without half characters; pairs of halves become what they mean."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text


class WholeFrames:
    """Cleans the frames of one vendor's service, in the order it pushes them."""

    def __init__(self) -> None:
        self._half = ""

    def clean(self, frame: Frame) -> None:
        """Change in place what ``frame`` has from the vendor."""
        if isinstance(frame, LLMTextFrame):
            self._clean_piece(frame)
        elif isinstance(frame, _TEXT_FRAMES):
            frame.text = whole_text(frame.text)
        elif isinstance(frame, FunctionCallsStartedFrame):
            frame.function_calls = [_whole_call(call) for call in frame.function_calls]
        elif isinstance(frame, _TOOL_FRAMES):
            for name in _TOOL_FIELDS:
                if hasattr(frame, name):
                    setattr(frame, name, _whole(getattr(frame, name)))

    def _clean_piece(self, frame: LLMTextFrame) -> None:
        text, self._half = self._half + frame.text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        frame.text = whole_text(text)


def _whole_call(call: Any) -> Any:
    assert is_dataclass(call) and not isinstance(call, type)
    names = {field.name for field in fields(call)} & set(_TOOL_FIELDS)
    return replace(call, **{name: _whole(getattr(call, name)) for name in names})


def _whole(value: Any) -> Any:
    """The value with whole texts, wherever in it they are."""
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, Mapping):
        return {_whole(name): _whole(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(each) for each in value]
    return value
