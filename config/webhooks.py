"""Addresses that are told of calls: what an operator may write, and which are refused."""

import ipaddress
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from config.setting_fields import HttpUrl, SettingsSection

#: Where the last 32 bits are an address of IPv4: behind an IPv6-only network (NAT64, RFC 6052),
#: translated (RFC 7915, section 2), and "compatible", which some systems still connect to
#: (RFC 4291, section 2.5.5.1).
_ENDING_IN_IPV4 = tuple(
    ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
)
#: NAT64 within one network, which decides where the address of IPv4 stands (RFC 8215).
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")

WebhookEvent = Literal["call.started", "call.ended", "transcript.ready", "recording.ready"]
WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)


class WebhookSettings(SettingsSection):
    """An address that is told of calls, with signed requests."""

    url: HttpUrl = Field(description="https, or http on this machine.")
    secret: SecretStr = Field(description="Signs the requests; 16 characters or more.")
    events: tuple[WebhookEvent, ...] = Field(
        default=WEBHOOK_EVENTS, min_length=1, description="What it is told."
    )
    allow_private: bool = Field(
        default=False, description="It may be in a private network, such as 10.0.0.0/8."
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise ValueError("url must have no user, password or fragment")
        if parts.scheme != "https" and not is_loopback_name(host):
            raise ValueError("url must begin with https:// unless it is on this machine")
        if not (self.allow_private or is_loopback_name(host)) and _is_private_literal(host):
            raise ValueError("url is in a private network; set allow_private if that is meant")
        if len(self.secret.get_secret_value()) < 16:
            raise ValueError("secret must have 16 characters or more")
        return self


def is_public(address: str) -> bool:
    """Whether an IP address is anybody's on the internet, also as IPv6 wraps one of IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _LOCAL_NAT64 or ip.is_site_local:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is None and any(ip in net for net in _ENDING_IN_IPV4):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def is_loopback_name(host: str) -> bool:
    """Whether a host as written can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return False
