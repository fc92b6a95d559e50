"""The FastAPI application: its doors, and what lives as long as the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import (
    agents,
    call_control,
    call_files,
    calls,
    health,
    live,
    page,
    telephony,
    voice,
)
from api.parts import ServerParts
from config.providers import ProviderCatalog
from config.settings import Settings
from services.registry import catalog

VERSION = "0.1.0"


def create_app(settings: Settings, providers: ProviderCatalog = catalog) -> FastAPI:
    """The application for ``settings``; everything starts and stops with its lifespan."""
    parts = ServerParts(settings, providers)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await parts.start()
        try:
            yield
        finally:
            await parts.stop()

    app = FastAPI(
        title="Indic voice server", version=VERSION, lifespan=lifespan, openapi_url="/openapi.json"
    )
    app.state.parts = parts
    doors = (page, voice, telephony, health, agents, calls, call_files, call_control, live)
    for door in doors:
        app.include_router(door.router)
    app.mount("/static", page.PageFiles(directory=parts.web_folder), name="static")
    return app
