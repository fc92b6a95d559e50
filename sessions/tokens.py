"""Tokens of client programs and operators: JWT, HS256, short-lived."""

import time
from dataclasses import dataclass
from typing import Any

import jwt
from pydantic import SecretStr

from config.errors import AdmissionError

ALGORITHM = "HS256"
#: What a token opens: the door for client programs, or the doors that show calls.
AUDIENCE = "voice"
OPERATOR_AUDIENCE = "calls"
ISSUER = "indic-voice-server"
MAX_AGE_SECONDS = 900
LEEWAY_SECONDS = 5
ANY_AGENT = "*"


@dataclass(frozen=True, slots=True)
class Client:
    """Who a token says its bearer is.

    Attributes:
        subject: The client program or user.
        agent: The agent it may talk to, or ``*``.
    """

    subject: str
    agent: str

    def may_talk_to(self, agent_id: str) -> bool:
        """Whether the token is good for that agent."""
        return self.agent in (ANY_AGENT, agent_id)


def issue_token(
    secret: SecretStr,
    *,
    subject: str,
    agent: str = ANY_AGENT,
    age_seconds: int = MAX_AGE_SECONDS,
    audience: str = AUDIENCE,
) -> str:
    """A token that :func:`verify_token` takes for ``age_seconds`` (at most 15 minutes)."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": subject,
        "agent": agent,
        "aud": audience,
        "iss": ISSUER,
        "iat": now,
        "exp": now + min(age_seconds, MAX_AGE_SECONDS),
    }
    return jwt.encode(claims, secret.get_secret_value(), algorithm=ALGORITHM)


def verify_token(secret: SecretStr, token: str, *, audience: str = AUDIENCE) -> Client:
    """Check a token's signature, times and audience.

    Raises:
        AdmissionError: ``auth_expired`` or ``auth_invalid``.
    """
    try:
        claims = jwt.decode(
            token,
            secret.get_secret_value(),
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "sub", "aud", "iss"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise AdmissionError("auth_expired", "the token has expired; get a new one") from error
    except jwt.InvalidTokenError as error:
        raise AdmissionError("auth_invalid", f"the token is not valid: {error}") from error
    # PyJWT has checked that both are numbers, not that they lie close together.
    if claims["exp"] - claims["iat"] > MAX_AGE_SECONDS:
        raise AdmissionError(
            "auth_invalid", f"the token is good for longer than {MAX_AGE_SECONDS // 60} minutes"
        )
    agent = claims.get("agent", ANY_AGENT)
    if not isinstance(agent, str):
        raise AdmissionError("auth_invalid", "the token's agent is not a name")
    return Client(subject=claims["sub"], agent=agent)
