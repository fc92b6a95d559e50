"""The backend's routes, one method each: what is sent, what comes back."""

from dataclasses import dataclass

import msgspec
from pydantic import SecretStr

from config.errors import BackendError
from services.backend.transport import BackendTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomLLM:
    """A language model that an organisation has described in the backend.

    Attributes:
        base_url: Where it is; OpenAI's protocol is spoken there.
        model: As that server names it.
        api_key: None where it wants none.
    """

    base_url: str
    model: str
    api_key: SecretStr | None


class _Key(msgspec.Struct):
    api_key: str


class _CustomLLM(msgspec.Struct):
    base_url: str
    model: str
    api_key: str | None = None


class BackendClient:
    """Asks VoiceERA's backend.

    Args:
        transport: Carries the requests.
    """

    def __init__(self, transport: BackendTransport) -> None:
        self._transport = transport

    async def api_key(self, *, org_id: str, model: str) -> SecretStr | None:
        """The key that an organisation has with a vendor.

        Args:
            model: The backend's name of the vendor, such as ``OpenAI``.

        Returns:
            None where it has none.

        Raises:
            BackendError: The backend did not say.
        """
        path = "/integrations/bot/get-api-key"
        try:
            found = await self._transport.post(path, {"org_id": org_id, "model": model}, _Key)
        except BackendError as error:
            if error.status == 404:
                return None
            raise
        return _secret(found.api_key)

    async def custom_llm(self, *, org_id: str, custom_llm_id: str) -> CustomLLM | None:
        """A language model of the organisation's own.

        Returns:
            None where there is none of that id.

        Raises:
            BackendError: The backend did not say, or not where the model is.
        """
        path = "/custom-llm-integrations/bot/get-config"
        body = {"org_id": org_id, "custom_llm_id": custom_llm_id}
        try:
            found = await self._transport.post(path, body, _CustomLLM)
        except BackendError as error:
            if error.status == 404:
                return None
            raise
        base_url = found.base_url.strip()
        if not base_url.startswith(("http://", "https://")) or not found.model:
            message = f"custom LLM {custom_llm_id} has no usable address or model in the backend"
            raise BackendError("backend_answer", message)
        return CustomLLM(base_url=base_url, model=found.model, api_key=_secret(found.api_key or ""))


def _secret(text: str) -> SecretStr | None:
    """A key as it can stand in a header; None for an empty one.

    Raises:
        BackendError: It cannot.
    """
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise BackendError("backend_answer", "a key in the backend is not printable ASCII")
    return SecretStr(key) if key else None
