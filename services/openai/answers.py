"""A streamed answer of a model, put right before Pipecat reads it."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

from services.openai.failures import BrokenAnswerError

_THINK, _THOUGHT = "<think>", "</think>"


class Answer:
    """The chunks of one completion.

    An answer without its end is a failure, whatever was said before: a connection that was
    closed politely in mid-sentence looks like an end to the client. One that ends but for its
    ``[DONE]`` is whole. Fragments of tool calls, which servers interleave, leave here call by
    call, once all are complete. Leading blank lines and thoughts in ``<think>`` are dropped:
    nothing of them can be spoken.

    Args:
        stream: What the client gives.
        speaks_reasoning: What comes as ``reasoning`` without content is the answer. Some builds
            of vLLM do that to models whose thinking was switched off.
    """

    def __init__(
        self, stream: AsyncStream[ChatCompletionChunk], *, speaks_reasoning: bool = False
    ) -> None:
        self._stream = stream
        self._speaks_reasoning = speaks_reasoning
        self._opening = Opening()
        self._calls: list[ChoiceDeltaToolCall] = []

    def __aiter__(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        return self._chunks()

    async def close(self) -> None:
        """Want no more: hangs up."""
        await self._stream.close()

    async def _chunks(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        is_whole = False
        chunks: AsyncIterator[ChatCompletionChunk] = aiter(self._stream)
        try:
            async for chunk in chunks:
                if not chunk.choices or not chunk.choices[0].delta:
                    yield chunk
                    continue
                self._put_right(chunk.choices[0].delta)
                if chunk.choices[0].finish_reason:
                    is_whole = True
                    for call in self._called(chunk):
                        yield call
                yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        if not is_whole:
            raise BrokenAnswerError("the answer broke off")

    def _put_right(self, delta: ChoiceDelta) -> None:
        for part in delta.tool_calls or ():
            self._note(part)
        delta.tool_calls = None
        text = delta.content or ""
        if not text and self._speaks_reasoning:
            text = _reasoning(delta)
        if text:
            delta.content = self._opening.take(text)

    def _note(self, part: ChoiceDeltaToolCall) -> None:
        """Add a fragment to its call. Some servers number all calls 0: ids tell them apart."""
        known = [call for call in self._calls if call.index == part.index]
        call = known[-1] if known else None
        if call is None or (part.id and call.id and part.id != call.id):
            self._calls.append(part)
        elif part.function is not None:
            if call.function is None:
                call.function = part.function
            else:
                call.function.name = call.function.name or part.function.name
                more = part.function.arguments or ""
                call.function.arguments = (call.function.arguments or "") + more

    def _called(self, last: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        """A chunk for each call, shaped after the last one of the answer."""
        chunks = []
        for number, call in enumerate(self._calls):
            whole = call.model_copy(update={"index": number})
            delta = ChoiceDelta(tool_calls=[whole])
            choice = last.choices[0].model_copy(update={"delta": delta, "finish_reason": None})
            chunks.append(last.model_copy(update={"choices": [choice], "usage": None}))
        self._calls = []
        return chunks


class Opening:
    """Drops what stands before the first word of an answer and cannot be spoken.

    >>> opening = Opening()
    >>> [opening.take(text) for text in ("\\n<thi", "nk>", "\\n</think>", "\\n\\n", "Yes", " \\n")]
    ['', '', '', '', 'Yes', ' \\n']
    """

    def __init__(self) -> None:
        self._held = ""
        self._has_begun = False

    def take(self, text: str) -> str:
        """What can be spoken of the next piece."""
        if self._has_begun:
            return text
        self._held = (self._held + text).lstrip()
        if self._held.startswith(_THINK):
            _, ended, rest = self._held.partition(_THOUGHT)
            if not ended:
                return ""
            self._held = rest.lstrip()
        if _THINK.startswith(self._held):
            return ""
        self._has_begun = True
        return self._held


def _reasoning(delta: Any) -> str:
    for name in ("reasoning", "reasoning_content"):
        text = getattr(delta, name, None)
        if isinstance(text, str) and text:
            return text
    return ""
