"""Keeps keys and tokens in plain data from being shown by accident."""

from typing import Any

from pydantic import SecretStr


def hide_secrets(value: Any, key: str = "") -> Any:
    """Plain data in which texts under keys like ``api_key`` are ``SecretStr``.

    Empty ones are left out, as ``${NAME:-}`` gives them when there is no such key.
    """
    if isinstance(value, dict):
        return {k: hide_secrets(v, k) for k, v in value.items() if v != "" or not is_secret_key(k)}
    if isinstance(value, list):
        return [hide_secrets(v, key) for v in value]
    if isinstance(value, str) and is_secret_key(key):
        return SecretStr(value)
    return value


def without_secrets(value: Any) -> Any:
    """Plain data less everything under keys like ``api_key``, to be shown."""
    if isinstance(value, dict):
        return {k: without_secrets(v) for k, v in value.items() if not is_secret_key(k)}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def is_secret_key(key: str) -> bool:
    """Whether what stands under ``key`` must not be shown."""
    return key.lower().endswith(("api_key", "token", "secret", "password", "private_key"))
