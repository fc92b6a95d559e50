"""Vendor clients that all calls of a process share.

Making one reads the machine's certificates: 20 to 40 ms on the event loop and about a megabyte,
which no call should pay for.
"""

import weakref
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

C = TypeVar("C")
_all: "weakref.WeakSet[SharedClients[Any]]" = weakref.WeakSet()


class SharedClients(Generic[C]):
    """One client per server and key, on each event loop.

    Args:
        make: Makes a client from an address and a key.
        close: Closes one.
    """

    def __init__(
        self, make: Callable[[str | None, str], C], close: Callable[[C], Awaitable[None]]
    ) -> None:
        self._make = make
        self._close = close
        self._by_loop: weakref.WeakKeyDictionary[
            AbstractEventLoop, dict[tuple[str | None, str], C]
        ] = weakref.WeakKeyDictionary()
        _all.add(self)

    def get(self, base_url: str | None, api_key: str) -> C:
        """The client for one server and key, made when first asked for."""
        clients = self._by_loop.setdefault(get_running_loop(), {})
        key = (base_url, api_key)
        if key not in clients:
            clients[key] = self._make(base_url, api_key)
        return clients[key]

    async def close(self) -> None:
        """Close the running loop's clients; the next :meth:`get` makes new ones."""
        for client in self._by_loop.pop(get_running_loop(), {}).values():
            await self._close(client)


async def close_shared_clients() -> None:
    """Close every vendor's clients of the running loop; for the end of the process."""
    for clients in list(_all):
        await clients.close()
