"""The least that any server must do for a call: parse, decode, encode, send.

    python -m bench.echo --port 8000

Every packet comes back at once. What this costs is what the sockets, the JSON, the base64 and
the codec cost in Python under uvicorn; nothing below it can be had without leaving Python.
"""

import argparse
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from serializer.messages import Media
from serializer.vobiz import VobizDialect


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    dialect = VobizDialect()
    while True:
        received = await websocket.receive()
        if received["type"] == "websocket.disconnect":
            return
        message = dialect.decode(received["text"])
        heard, spoken = dialect.input_format, dialect.output_format
        if isinstance(message, Media) and heard is not None and spoken is not None:
            await websocket.send_text(dialect.audio(spoken.encode(heard.decode(message.payload))))


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m bench.echo")
    parser.add_argument("--port", type=int, required=True)
    port: int = parser.parse_args().port
    app = Starlette(routes=[WebSocketRoute("/ws", _echo)])
    options: dict[str, Any] = {
        "loop": "uvloop",
        "ws": "websockets-sansio",
        "ws_per_message_deflate": False,
        "log_level": "warning",
    }
    uvicorn.run(app, host="127.0.0.1", port=port, **options)


if __name__ == "__main__":
    main()
