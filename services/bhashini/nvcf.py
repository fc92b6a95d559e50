"""Bhashini's models on NVIDIA's cloud functions (NVCF): channels, credentials, what goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc

from config.errors import ConfigError, ProviderError, ProviderStage
from services.bhashini.failures import failure
from services.connections.clients import SharedClients
from services.context import ServiceContext

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_DETAIL = 120
#: What grpc.aio makes of a call that ended while it was being written to; the status that the
#: server gave is lost then (grpcio 1.85).
_WRITE_FAILED = "Internal error from Core"
_SECURE = {"https", "grpcs"}
_PLAIN = {"http", "grpc"}
#: Kind of failure, and whether another try may help.
_KINDS: Mapping[grpc.StatusCode, tuple[str, bool]] = {
    grpc.StatusCode.UNAUTHENTICATED: ("auth", False),
    grpc.StatusCode.PERMISSION_DENIED: ("auth", False),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("busy", True),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("timeout", True),
    grpc.StatusCode.INVALID_ARGUMENT: ("refused", False),
    grpc.StatusCode.NOT_FOUND: ("refused", False),
    grpc.StatusCode.UNIMPLEMENTED: ("refused", False),
}


@dataclass(frozen=True, slots=True)
class Function:
    """A deployed model.

    Attributes:
        channel: Shared by all calls of the process.
        metadata: Says who asks, and which function.
    """

    channel: Any
    metadata: tuple[tuple[str, str], ...]


def target(base_url: str | None, where: str) -> tuple[str, bool]:
    """Host and port of a gRPC server, and whether it is spoken to over TLS.

    >>> target("https://grpc.nvcf.nvidia.com", "stt.bhashini_bhili")
    ('grpc.nvcf.nvidia.com:443', True)

    Raises:
        ConfigError: It is no address.
    """
    parts = urlsplit((base_url or "").strip())
    if parts.scheme not in _SECURE | _PLAIN or not parts.hostname:
        raise ConfigError(
            f"{where}.base_url must begin with https://, or with http:// for a server without "
            f"TLS: {base_url}"
        )
    secure = parts.scheme in _SECURE
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or (443 if secure else 80)}", secure


def function(
    context: ServiceContext, where: str, function_id: str | None, version_id: str | None
) -> Function:
    """The function that an agent's options name.

    Args:
        where: Section of the agent's file, for messages.

    Raises:
        ConfigError: The address is none, or the function has no id.
    """
    if not function_id:
        raise ConfigError(f"{where} needs a function_id")
    address, secure = target(context.base_url, where)
    key = context.api_key.get_secret_value() if context.api_key else ""
    metadata = [("authorization", f"Bearer {key}"), ("function-id", function_id)]
    if version_id:
        metadata.append(("function-version-id", version_id))
    # One channel whatever the key: it goes with each request.
    channel = _channels.get(f"{'https' if secure else 'http'}://{address}", "")
    return Function(channel, tuple(metadata))


def failed(stage: ProviderStage, error: grpc.aio.AioRpcError, *, began: bool) -> ProviderError:
    """The error for a request that ended badly.

    Args:
        began: Whether the server had answered anything before.
    """
    code = error.code()
    kind, retryable = _KINDS.get(code, ("failed", True))
    if code is grpc.StatusCode.UNAVAILABLE or error.details() == _WRITE_FAILED:
        kind = "dropped" if began else "unreachable"
    detail = "".join(c for c in (error.details() or "")[:MAX_DETAIL] if c.isprintable())
    return failure(stage, kind, f"{code.name}: {detail or 'no reason'}", retryable=retryable)


def _open(address: str | None, _key: str) -> Any:
    secure, _, host = str(address).partition("://")
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    if secure == "https":
        return grpc.aio.secure_channel(host, grpc.ssl_channel_credentials(), options)
    return grpc.aio.insecure_channel(host, options)


async def _close(channel: Any) -> None:
    await channel.close()


_channels: SharedClients[Any] = SharedClients(_open, _close)
