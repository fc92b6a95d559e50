"""Whether the server lives, is ready, and how it fares."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from api.parts import Parts, ServerParts
from config.errors import ConfigError, StorageError
from config.providers import ProviderKind
from sessions import metrics
from sessions.indexer import IndexState

router = APIRouter(tags=["health"])

STORAGE_SECONDS = 2.0


class ServiceHealth(BaseModel):
    """State of what the server stands on."""

    stt: str
    llm: str
    tts: str
    storage: str
    backend: str
    index: IndexState


class Health(BaseModel):
    """Answer of ``/health``.

    Attributes:
        rejected_agents: File to what is wrong with it; its last good version serves, if any.
        degraded_providers: Vendors that fail and are left alone for a while, with the reason.
        waiting_reports: Reports of calls that wait, by ``backend`` and ``webhook``.
        untold_receivers: Who takes none of them at present, and why.
        unknown_keys: Names of keys that ``JOURNAL_KEY`` does not hold, and how many calls and
            reports wait on disk for each.
        unknown_versions: Forms of journals that only a newer server can read, and how many
            calls wait on disk for one.
        agents_that_need_keys: File to the keys or packages that this installation lacks; no
            fault, or a fresh clone with examples for every vendor would never be healthy.
    """

    status: Literal["healthy", "degraded", "draining"]
    services: ServiceHealth
    active_sessions: int
    max_sessions: int
    agents: int
    rejected_agents: dict[str, str]
    degraded_providers: tuple[str, ...]
    waiting_reports: dict[str, int]
    untold_receivers: dict[str, str]
    unknown_keys: dict[str, int]
    unknown_versions: dict[str, int]
    agents_that_need_keys: dict[str, str]
    timestamp: str


class Ready(BaseModel):
    """Answer of ``/health/ready``.

    Attributes:
        degraded: Vendors that fail and are left alone for a while; calls go to the next of
            their agent's chain.
    """

    ready: bool
    reason: str | None = None
    degraded: tuple[str, ...] = ()


@router.get("/health")
@router.get("/api/v1/health")
async def health(parts: Parts) -> Health:
    """How everything fares; always 200, the word is in ``status``."""
    storage = await _storage(parts)
    draining = parts.manager.draining
    rejects = {**parts.agents.rejects, **_backend_rejects(parts)}
    needs_keys = parts.agents.unequipped
    troubled = _troubled(parts)
    unheard = parts.reports.troubles()
    kept = parts.keeper.stats()
    unknown_keys = parts.reports.unknown_keys + Counter(kept.unknown_keys)
    healthy = (
        not troubled
        and not unheard
        and not unknown_keys
        and not kept.unknown_versions
        and storage == "ok"
        and parts.indexer.state != "away"
        and len(needs_keys) == len(rejects)
    )
    return Health(
        status="draining" if draining else "healthy" if healthy else "degraded",
        services=ServiceHealth(
            stt=_providers(parts, "stt"),
            llm=_providers(parts, "llm"),
            tts=_providers(parts, "tts"),
            storage=storage,
            backend=parts.credentials.backend_state,
            index=parts.indexer.state,
        ),
        active_sessions=parts.manager.active,
        max_sessions=parts.settings.server.max_connections,
        agents=len(parts.agents.ids()),
        rejected_agents={n: e.message for n, e in rejects.items() if n not in needs_keys},
        degraded_providers=troubled,
        waiting_reports={k: count for k, (count, _) in parts.reports.waiting_by_kind().items()},
        untold_receivers=unheard,
        unknown_keys=dict(unknown_keys),
        unknown_versions=kept.unknown_versions,
        agents_that_need_keys={name: error.message for name, error in needs_keys.items()},
        timestamp=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs and its loop turns."""
    return {"status": "alive"}


@router.get("/health/ready")
async def ready(parts: Parts, response: Response) -> Ready:
    """Whether one more call would be taken; 503 while draining, full or overloaded."""
    refusal = parts.manager.refusal("inbound")
    reason = "full" if refusal == "server_full" else refusal
    if reason is not None:
        response.status_code = 503
    return Ready(ready=reason is None, reason=reason, degraded=_troubled(parts))


@router.get("/metrics", include_in_schema=False)
async def prometheus(parts: Parts) -> Response:
    """Everything that is counted, for Prometheus."""
    spool = parts.keeper.stats()
    metrics.SPOOL_FILES.set(spool.waiting)
    metrics.SPOOL_OLDEST_SECONDS.set(spool.oldest_seconds)
    metrics.JOURNALS_LOCKED.labels("key").set(sum(spool.unknown_keys.values()))
    metrics.JOURNALS_LOCKED.labels("version").set(sum(spool.unknown_versions.values()))
    metrics.JOURNALS_SET_ASIDE.set(spool.set_aside)
    written = parts.journals.stats()
    metrics.JOURNAL_FAILING_CALLS.set(written.failing_calls)
    metrics.JOURNAL_FLUSH_SECONDS.set(written.longest_flush_ms / 1000)
    for seconds in parts.collector.seconds():
        metrics.FULL_COLLECTION_SECONDS.observe(seconds)
    metrics.INDEX_WAITING.set(parts.indexer.waiting)
    theirs = parts.carrier.stats()
    metrics.CARRIER_RECORDINGS_WAITING.set(theirs.waiting)
    metrics.CARRIER_RECORDINGS_OLDEST_SECONDS.set(theirs.oldest_seconds)
    metrics.PROVIDER_TROUBLED.clear()
    for stage, provider, _ in parts.breakers.troubled():
        metrics.PROVIDER_TROUBLED.labels(stage, provider).set(1)
    for kind, (count, oldest_seconds) in parts.reports.waiting_by_kind().items():
        metrics.OUTBOX_FILES.labels(kind).set(count)
        metrics.OUTBOX_OLDEST_SECONDS.labels(kind).set(oldest_seconds)
    metrics.OUTBOX_POSTPONED.set(parts.reports.dropped)
    metrics.CONFIG_REJECTS.clear()
    for name in parts.agents.rejects:
        metrics.CONFIG_REJECTS.labels(name).set(1)
    if _backend_rejects(parts):
        metrics.CONFIG_REJECTS.labels("backend").set(1)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _backend_rejects(parts: ServerParts) -> Mapping[str, ConfigError]:
    return {} if parts.backend_agents is None else parts.backend_agents.rejects


def _troubled(parts: ServerParts) -> tuple[str, ...]:
    """Stage, provider and what is wrong, as in ``stt deepgram: auth``."""
    return tuple(
        sorted(
            f"{stage} {provider}: {breaker.last_failure}"
            for stage, provider, breaker in parts.breakers.troubled()
        )
    )


def _providers(parts: ServerParts, kind: ProviderKind) -> str:
    """Which providers the loaded agents use."""
    used = {parts.agents.get(i).section(kind).provider for i in parts.agents.ids()}
    return ", ".join(sorted(used)) or "none"


async def _storage(parts: ServerParts) -> str:
    try:
        async with asyncio.timeout(STORAGE_SECONDS):
            await parts.storage.health()
    except (StorageError, TimeoutError) as error:
        return getattr(error, "code", "slow")
    return "ok"
