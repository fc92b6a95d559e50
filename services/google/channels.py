"""Ways to Google Cloud's servers, and the account in whose name they are used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc.aio
from google.api_core.client_options import ClientOptions
from google.oauth2 import service_account

from config.errors import ConfigError
from config.providers import ProviderKind

T = TypeVar("T")


def server(kind: ProviderKind, base_url: str | None, location: str | None = None) -> str:
    """The address, of a location's own server where there is one.

    >>> server("stt", "https://speech.googleapis.com", "asia-south1")
    'https://asia-south1-speech.googleapis.com'

    Raises:
        ConfigError: It is no address.
    """
    address = (base_url or "").strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
        raise ConfigError(f"{kind}.google.base_url must be like https://speech.googleapis.com")
    is_googles = parts.netloc == "speech.googleapis.com"
    if is_googles and location and location != "global":
        return f"https://{location}-{parts.netloc}"
    return address


def make_client(
    client: Callable[..., T], transport: Callable[..., Any], address: str, credentials_path: str
) -> T:
    """A client of one server and account.

    To an address without TLS (a simulator, a proxy of one's own) no credentials are sent.

    Raises:
        ConfigError: The key file cannot be used.
    """
    parts = urlsplit(address)
    if parts.scheme == "http":
        return client(transport=transport(channel=grpc.aio.insecure_channel(parts.netloc)))
    _key_file(credentials_path)
    credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
        credentials_path
    )
    return client(credentials=credentials, client_options=ClientOptions(api_endpoint=parts.netloc))


def project_of(credentials_path: str, address: str) -> str:
    """The project of a key file.

    Raises:
        ConfigError: The key file cannot be used.
    """
    if address.startswith("http:"):
        return "local"
    return str(_key_file(credentials_path)["project_id"])


def _key_file(path: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_bytes())
        if isinstance(content, dict) and content.get("project_id") and content.get("private_key"):
            return content
    except (OSError, ValueError):
        pass
    # Neither the path nor what is in the file may be shown.
    raise ConfigError(
        "GOOGLE_APPLICATION_CREDENTIALS must be the path of a service account's JSON key file"
    )
