"""Tokens: what is issued is taken, for its door and its agent, and for no longer than it may be."""

import secrets

import jwt
import pytest
from pydantic import SecretStr

from config.errors import AdmissionError
from sessions.tokens import (
    MAX_AGE_SECONDS,
    OPERATOR_AUDIENCE,
    issue_token,
    verify_token,
)


@pytest.fixture
def secret() -> SecretStr:
    return SecretStr(secrets.token_hex(32))


def test_what_is_issued_is_taken(secret: SecretStr) -> None:
    client = verify_token(secret, issue_token(secret, subject="app", agent="brisk"))
    assert (client.subject, client.agent) == ("app", "brisk")
    assert client.may_talk_to("brisk") and not client.may_talk_to("other")
    anyone = verify_token(secret, issue_token(secret, subject="app"))
    assert anyone.may_talk_to("brisk") and anyone.may_talk_to("other")


def test_no_token_is_good_for_longer_than_fifteen_minutes(secret: SecretStr) -> None:
    token = issue_token(secret, subject="app", age_seconds=10_000)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == MAX_AGE_SECONDS


@pytest.mark.parametrize(("made", "wanted"), [("voice", "calls"), ("calls", "voice")])
def test_a_token_opens_its_own_door_only(secret: SecretStr, made: str, wanted: str) -> None:
    token = issue_token(secret, subject="app", audience=made)
    assert verify_token(secret, token, audience=made).subject == "app"
    with pytest.raises(AdmissionError) as refusal:
        verify_token(secret, token, audience=wanted)
    assert refusal.value.code == "auth_invalid"


def test_a_message_never_holds_the_token(secret: SecretStr) -> None:
    token = issue_token(SecretStr(secrets.token_hex(32)), subject="app")
    with pytest.raises(AdmissionError) as refusal:
        verify_token(secret, token, audience=OPERATOR_AUDIENCE)
    assert token not in refusal.value.message
    assert secret.get_secret_value() not in refusal.value.message
