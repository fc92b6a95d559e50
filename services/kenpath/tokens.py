"""The tokens that Kenpath asks for: JWT, RS256, signed with the operator's private key."""

import asyncio
import time
from functools import lru_cache
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from config.errors import ConfigError

ISSUER = "voice-provider"
LIFETIME_SECONDS = 3600
#: A token is renewed this long before its end, so that clocks may differ.
MARGIN_SECONDS = 300
SMALLEST_KEY_BITS = 2048
#: Keys are a few kilobytes; whatever is bigger is none.
MAX_KEY_BYTES = 64 * 1024
_FIELD = "jwt_private_key_path"


class TokenSource:
    """Tokens for one subject, each used for most of its life.

    Args:
        key_path: File with an RSA private key in PEM, not encrypted; read anew for every token.
        subject: Telephone number that the tokens are made out to.
    """

    def __init__(self, key_path: str, subject: str) -> None:
        self._key_path = Path(key_path)
        self._subject = subject
        self._token = ""
        self._renew_at = 0.0

    async def token(self) -> str:
        """A token that is good for some minutes at least.

        Signing and checking the key take some milliseconds and are done off the event loop.

        Raises:
            ConfigError: The key's file cannot be used.
        """
        now = time.time()
        if not self._token or now >= self._renew_at:
            self._token = await asyncio.to_thread(_signed, self._key_path, self._subject, int(now))
            self._renew_at = now + LIFETIME_SECONDS - MARGIN_SECONDS
        return self._token

    def forget(self) -> None:
        """Sign a new token next time: the server would not have this one."""
        self._token = ""


@lru_cache(maxsize=64)
def token_source(key_path: str, subject: str) -> TokenSource:
    """The process's source for one key and subject."""
    return TokenSource(key_path, subject)


def _signed(key_path: Path, subject: str, now: int) -> str:
    claims = {"sub": subject, "iss": ISSUER, "iat": now, "exp": now + LIFETIME_SECONDS}
    return jwt.encode(claims, _key(key_path), algorithm="RS256")


def _key(path: Path) -> RSAPrivateKey:
    """The key in a file; messages leave its name out, lest somebody wrote the key there."""
    try:
        with path.open("rb") as file:
            pem = file.read(MAX_KEY_BYTES)
        key = load_pem_private_key(pem, password=None)
    except OSError as error:
        raise ConfigError(f"the file of {_FIELD} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"the file of {_FIELD} holds no private key in plain PEM") from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < SMALLEST_KEY_BITS:
        raise ConfigError(f"the key of {_FIELD} must be RSA, {SMALLEST_KEY_BITS} bits or more")
    return key
