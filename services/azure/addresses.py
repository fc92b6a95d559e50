"""Where Azure's speech is reached."""

import re
from typing import Any
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.providers import ProviderKind
from services.azure import AzureOptions
from services.context import ServiceContext

#: A region's own address, as the portal shows it; the SDK knows the hosts behind it.
_REGIONAL = re.compile(r"https://([a-z0-9]+)\.api\.cognitive\.microsoft\.com")


def place(kind: ProviderKind, options: AzureOptions, context: ServiceContext) -> dict[str, Any]:
    """Pipecat's arguments for the address: a resource's own, or a region's.

    Raises:
        ConfigError: The address is none.
    """
    address = (context.base_url or "").strip().rstrip("/")
    if regional := _REGIONAL.fullmatch(address):
        return {"region": options.region or regional[1]}
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigError(f"{kind}.azure.base_url must begin with https:// or wss://: {address}")
    return {"private_endpoint": address}
