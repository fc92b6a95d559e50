"""How a call that ends for each cause is ended: last words, what the peer is told, close code."""

from collections.abc import Mapping
from typing import Final

from sessions.channel import Departure

#: End causes after which the line is still up, so that what is being said may be finished.
GRACEFUL: Final = frozenset({"agent_hangup", "transferred", "max_duration", "silence", "drained"})
#: Phrase to say before ending for a cause.
LAST_WORDS: Final[Mapping[str, str]] = {"max_duration": "farewell", "drained": "farewell"}
#: What a client is told when the server itself is at fault: code and message.
FAILED: Final[Mapping[str, tuple[str, str]]] = {
    "provider_failed": ("provider_failed", "a service that this agent needs has failed"),
    "internal_error": ("internal", "the server made a mistake; its log says which"),
}
UNUSABLE: Final = ("agent_unusable", "this agent cannot be used at the moment")
#: End cause for each way in which a peer goes.
DEPARTURES: Final[Mapping[Departure, str]] = {
    "left": "caller_hangup",
    "lost": "peer_lost",
    "broke_protocol": "wire_error",
    "stopped": "drained",
}
#: WebSocket close codes; 1000 for all other causes.
CLOSE_CODES: Final[Mapping[str, int]] = {
    "wire_error": 1008,
    "internal_error": 1011,
    "provider_failed": 1011,
    "drained": 1001,
}
