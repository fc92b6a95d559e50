"""Connecting to vendors by WebSocket."""

import pytest
from pipecat.utils.errors import ErrorCategory
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from config.errors import ConfigError
from services.connections.addresses import socket_root
from services.connections.sockets import CERTIFICATES, category_of, connect_options


def test_certificates_are_read_once_for_all() -> None:
    assert connect_options("wss://h/v1")["ssl"] is CERTIFICATES
    assert "ssl" not in connect_options("ws://127.0.0.1:9")


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (ConnectionClosedError(None, None), ErrorCategory.CONNECTIVITY),
        (ConnectionClosedError(Close(1011, ""), None), ErrorCategory.SERVER),
        (InvalidMessage("no HTTP"), ErrorCategory.CONNECTIVITY),
        (OSError("no route"), ErrorCategory.CONNECTIVITY),
        (TimeoutError(), ErrorCategory.CONNECTIVITY),
        (InvalidStatus(Response(429, "", Headers())), None),
        (KeyError("x"), ErrorCategory.SERVER),
        (ConnectionClosedError(Close(1000, ""), None), ErrorCategory.CONNECTIVITY),
        (RuntimeError(), None),
    ],
)
def test_categories(error: Exception, category: ErrorCategory | None) -> None:
    assert category_of(error) is category


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("https://h", "wss://h"),
        ("http://127.0.0.1:9/", "ws://127.0.0.1:9"),
        ("wss://h/proxy/v1/listen", "wss://h/proxy"),
        ("ws://h/v1/", "ws://h"),
    ],
)
def test_addresses_as_people_write_them(written: str, root: str) -> None:
    assert socket_root("stt.x.base_url", written, "/listen", "/v1") == root


@pytest.mark.parametrize("written", [None, "", "h", "ftp://h", "https://"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"stt\.x\.base_url"):
        socket_root("stt.x.base_url", written)
