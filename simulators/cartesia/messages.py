"""The messages of Cartesia's text-to-speech, as JSON.

Shapes as in the response types of Cartesia's SDK 4.2; errors as its documentation has them
for API versions from 2026-03-01, and before.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from simulators.base import json_response, new_id
from simulators.cartesia.request import InvalidRequest

_encode = msgspec.json.Encoder().encode
_STRUCTURED_ERRORS_SINCE = "2026-03-01"


def chunk_frame(context_id: str) -> tuple[str, str]:
    """What stands before and after the base64 audio in every chunk of a context."""
    head = f'{{"type":"chunk","context_id":{json.dumps(context_id)},"data":"'
    return head, '","done":false,"status_code":206,"step_time":20.0}'


def timestamps(context_id: str, words: Sequence[tuple[str, float, float]]) -> str:
    """``timestamps``: words with start and end in seconds."""
    return _text(
        {
            "type": "timestamps",
            "context_id": context_id,
            "done": False,
            "status_code": 206,
            "word_timestamps": {
                "words": [word for word, _, _ in words],
                "start": [start for _, start, _ in words],
                "end": [end for _, _, end in words],
            },
        }
    )


def flush_done(context_id: str, flush_id: int) -> str:
    """``flush_done``."""
    return _text(
        {
            "type": "flush_done",
            "context_id": context_id,
            "flush_done": True,
            "flush_id": flush_id,
            "done": False,
            "status_code": 206,
        }
    )


def done(context_id: str) -> str:
    """``done``."""
    return _text({"type": "done", "context_id": context_id, "done": True, "status_code": 200})


def error(problem: InvalidRequest, version: str, context_id: str | None) -> str:
    """``error``, in the shape of the API version."""
    message: dict[str, Any] = {"type": "error", "done": True, "status_code": problem.status}
    if version >= _STRUCTURED_ERRORS_SINCE:
        message |= {
            "title": problem.title,
            "message": str(problem),
            "error_code": problem.error_code,
            "request_id": new_id(),
        }
    else:
        message["error"] = f"{problem.title}: {problem}"
    if context_id:
        message["context_id"] = context_id
    return _text(message)


def error_response(problem: InvalidRequest, version: str, headers: dict[str, str]) -> web.Response:
    """The same over HTTP: JSON, or plain text before 2026-03-01."""
    request_id = new_id()
    headers = {"X-Request-ID": request_id, **headers}
    if version < _STRUCTURED_ERRORS_SINCE:
        text = f"{problem.title}: {problem}"
        return web.Response(text=text, status=problem.status, headers=headers)
    body = {
        "error_code": problem.error_code,
        "title": problem.title,
        "message": str(problem),
        "request_id": request_id,
    }
    return json_response(body, status=problem.status, headers=headers)


def _text(message: Any) -> str:
    return _encode(message).decode()
