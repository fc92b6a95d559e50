"""VoiceERA's backend: a small client of the routes that the voice server calls."""

import aiohttp
from loguru import logger

from config.sections import BackendSettings
from services.backend.routes import BackendClient, CustomLLM
from services.backend.transport import BackendTransport

__all__ = ["BackendClient", "BackendTransport", "CustomLLM", "connect_backend"]


def connect_backend(settings: BackendSettings, http: aiohttp.ClientSession) -> BackendClient | None:
    """A client of the backend that the settings name; None where they name none.

    Nothing is connected yet.

    Args:
        http: The process's shared session.
    """
    if settings.api_url is None:
        return None
    if settings.api_key is None:
        logger.warning("the backend is not asked: VOICERA_BACKEND_URL is set, INTERNAL_API_KEY not")
        return None
    return BackendClient(BackendTransport(http, settings.api_url, settings.api_key))
