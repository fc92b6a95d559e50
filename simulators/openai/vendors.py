"""Vendors that speak OpenAI's protocol at addresses and with keys of their own."""

import hmac
from collections.abc import Iterable
from typing import ClassVar

from aiohttp import web

from simulators.base import refuse
from simulators.connection import Connection
from simulators.openai.server import OpenAISimulator


class GroqSimulator(OpenAISimulator):
    """Groq: the same below ``/openai/v1``."""

    vendor: ClassVar[str] = "groq"
    base_path: ClassVar[str] = "/openai/v1"


class OpenRouterSimulator(OpenAISimulator):
    """OpenRouter: the same below ``/api/v1``, with two parameters more."""

    vendor: ClassVar[str] = "openrouter"
    base_path: ClassVar[str] = "/api/v1"

    async def start(self) -> None:
        """Listen."""
        self.extra_parameters |= {"provider", "reasoning"}
        await super().start()


class AzureOpenAISimulator(OpenAISimulator):
    """Azure OpenAI: deployments by dated version, and the interface without versions."""

    vendor: ClassVar[str] = "azure-openai"
    base_path: ClassVar[str] = ""

    def routes(self) -> Iterable[web.RouteDef]:
        """Chat completions, at either address."""
        dated = "/openai/deployments/{deployment}/chat/completions"
        return [
            self.door("POST", dated, self._chat_of_deployment),
            self.door("POST", "/openai/v1/chat/completions", self.chat),
        ]

    def authenticate(self, connection: Connection) -> None:
        """Refuse who has no key; in ``api-key``, or as others have it where there are no dates."""
        key = connection.received.headers.get("api-key")
        if key is None and connection.received.path.startswith("/openai/v1/"):
            super().authenticate(connection)
        elif not key or (self.api_key is not None and not hmac.compare_digest(key, self.api_key)):
            self.violate(f"request {connection.index}: no valid key")
            refuse(self.error_response(401, {}))

    async def _chat_of_deployment(
        self, request: web.Request, connection: Connection
    ) -> web.StreamResponse:
        if not dict(connection.received.query).get("api-version"):
            self.violate(f"request {connection.index}: no api-version")
            refuse(self.error_response(404, {}))
        return await self.chat(request, connection)
