"""The backend's routes, one method each: what is sent, what comes back."""

from dataclasses import dataclass
from urllib.parse import quote

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

    async def agent_by_id(self, agent_id: str) -> bytes | None:
        """What the backend has under an agent's id, as it says it (JSON).

        Returns:
            None where there is no such agent.

        Raises:
            BackendError: The backend did not say.
        """
        return await self._found(f"/agents/config/id/{quote(agent_id, safe='')}")

    async def agent_by_number(self, number: str) -> bytes | None:
        """The agent that answers a telephone number in E.164; as :meth:`agent_by_id`."""
        return await self._found(f"/agents/by-phone/{quote(number, safe='')}")

    async def report(self, method: str, path: str, body: bytes, key: str) -> None:
        """Tell the backend of a call, in one try.

        Args:
            path: Below ``/api/v1``, such as ``/meetings``.
            body: JSON.
            key: The same for every try of the same report; sent as ``Idempotency-Key``.

        Raises:
            BackendError: It has not taken it.
        """
        await self._transport.report(method, path, body, {"Idempotency-Key": key})

    async def _found(self, path: str) -> bytes | None:
        try:
            return await self._transport.get(path)
        except BackendError as error:
            if error.status == 404:
                return None
            raise


def _secret(text: str) -> SecretStr | None:
    """A key as it can stand in a header; None for an empty one.

    Raises:
        BackendError: It cannot.
    """
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise BackendError("backend_answer", "a key in the backend is not printable ASCII")
    return SecretStr(key) if key else None
