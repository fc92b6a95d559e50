"""What lives as long as the server: built once, started and stopped in order."""

import time
from pathlib import Path
from typing import Annotated, Literal

import aiohttp
from fastapi import Depends
from starlette.requests import HTTPConnection

from api.warm_up import get_ready
from bot.building import BuildingTurns
from bot.call_bot import BotParts
from bot.phrases import PhraseCache
from bot.vad import VadEngine
from config.agent import AgentConfig
from config.defaults import require_usable_defaults
from config.folder import look
from config.providers import ProviderCatalog
from config.settings import Settings
from config.store import AgentChange, AgentStore
from serializer.detect import DialectOptions
from serializer.vobiz import VobizOptions
from services.agent_directory import AgentDirectory
from services.backend import BackendClient, connect_backend
from services.backend.agents import BackendAgents
from services.breakers import BreakerBoard
from services.connections.clients import close_shared_clients
from services.credentials import Credentials
from services.factory import ServiceFactory
from services.telephony.vobiz import VobizRecordings
from services.telephony.vobiz_files import VobizAccount
from sessions import metrics
from sessions.admission import Admission, Lines, RefusalReason
from sessions.answered import AnsweredCalls
from sessions.answered_notes import FOLDER as ANSWERED_FOLDER
from sessions.carrier_notes import FOLDER as CARRIER_FOLDER
from sessions.carrier_recordings import CarrierRecordings
from sessions.collector_watch import CollectorWatch
from sessions.dev_secret import jwt_secret
from sessions.disk import DiskWatch
from sessions.expected import ExpectedCall, ExpectedCalls, seconds_left
from sessions.index_changes import indexer_changes
from sessions.indexer import CallIndexer
from sessions.journal_seal import use_journal_keys
from sessions.journal_writer import JournalWriter
from sessions.keeper import KeeperOptions, RecordKeeper, StoredCall
from sessions.live import LiveEvents
from sessions.load import LoadMeter
from sessions.lookup import CallLookup, CallPlaces
from sessions.loop_watch import LoopWatch
from sessions.manager import SessionManager
from sessions.outbox.calls import CallReports
from sessions.outbox.receiver import Receiver
from sessions.outbox.voicera import VoiceraReceiver
from sessions.outbox.webhooks import WebhookReceiver, webhook_session
from sessions.reception import Reception
from sessions.retention import RetentionSweeper
from sessions.session import SessionParts
from storage.base import Storage
from storage.factory import build_index, build_storage

WEB_FOLDER = Path(__file__).resolve().parent.parent / "web"


class ServerParts:
    """The running server behind its doors.

    Args:
        settings: Everything an operator decided.
        providers: Every provider known.

    Raises:
        ConfigError: The settings cannot be served.
    """

    def __init__(self, settings: Settings, providers: ProviderCatalog) -> None:
        require_usable_defaults(settings, providers)
        look(settings.agents_dir)  # A folder that is not there is said before anything starts.
        self.settings = settings
        self.providers = providers
        self.web_folder = WEB_FOLDER
        self.jwt_secret = jwt_secret(settings)
        self.agents = AgentStore(settings.agents_dir, providers, settings)
        self.expected = ExpectedCalls(self._no_start)
        self.live = LiveEvents()
        self.vobiz = VobizOptions.from_settings(settings.vobiz)
        self.storage: Storage = build_storage(settings)
        self.index = build_index(settings)
        secret = settings.storage.journal_key
        self._key = use_journal_keys(secret) if secret is not None else None
        self.journals = JournalWriter(settings.data_dir / "journal", key=self._key)
        data = settings.data_dir.absolute()
        self.answered = AnsweredCalls(data / ANSWERED_FOLDER, data / "journal", self._key)
        self.credentials: Credentials
        self.directory: AgentDirectory
        self.backend_agents: BackendAgents | None = None
        self.reports: CallReports
        self._webhook_sessions: list[aiohttp.ClientSession] = []
        self.factory: ServiceFactory
        self.manager: SessionManager
        self.reception: Reception
        self.phrases: PhraseCache
        self.breakers = BreakerBoard()
        self.building = BuildingTurns()
        self._http: aiohttp.ClientSession
        self._vad: VadEngine
        self.keeper: RecordKeeper
        self.retention: RetentionSweeper
        self.carrier: CarrierRecordings
        self.indexer: CallIndexer
        self.lookup: CallLookup
        server = settings.server
        self.load = LoadMeter(
            max_loop_lag_ms=server.max_loop_lag_ms,
            max_frame_lateness_ms=server.max_frame_lateness_ms,
            on_lag=lambda _, late: metrics.EVENT_LOOP_LAG_SECONDS.observe(late),
            on_frame=lambda _, late: metrics.FRAME_LATENESS_SECONDS.observe(late),
        )
        self.disk = DiskWatch(
            settings.data_dir.absolute(),
            warn_percent=server.disk_warn_percent,
            full_percent=server.disk_full_percent,
        )
        self.collector = CollectorWatch()
        self._loop_watch = LoopWatch(self.load.loop_turned, self._loop_blocked)

    async def start(self) -> None:
        """Bring everything up; no vendor and no store has to be there."""
        data = self.settings.data_dir.absolute()
        # No limit of its own: 100 connections, the default, is fewer than calls may need.
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        backend = connect_backend(self.settings.backend, self._http)
        self.credentials = Credentials(
            self.providers,
            self.settings,
            backend,
            on_fetch=metrics.credential_fetched,
        )
        self.factory = ServiceFactory(self.providers, self.settings, self._http, self.credentials)
        self.phrases = PhraseCache(self.factory, data / "phrases")
        self._vad = VadEngine()
        await self._vad.start()
        await self.disk.start()
        self.journals.start()
        # Before the keeper: a note whose journal is still there is told from one that has none.
        taken_over = await self.answered.start()
        self._start_backend(backend, data)
        self._start_sessions(data)
        await self.indexer.start()
        self.lookup = CallLookup(
            CallPlaces(
                index=self.index,
                storage=self.storage,
                manager=self.manager,
                root=data / "journal",
                server_id=self.indexer.server_id,
            )
        )
        await self.reports.start()
        await self.carrier.start()
        await self.keeper.start()
        self.retention.start()
        await self.manager.start()
        self.agents.subscribe(self._agent_changed)
        await self.agents.start()
        if self.backend_agents is not None:
            self.backend_agents.start()
        agents = [self.agents.get(agent_id) for agent_id in self.agents.ids()]
        await get_ready(agents, self.factory, self.phrases, self.providers)
        self._loop_watch.start()
        self.collector.start()
        for header in taken_over:
            call = ExpectedCall(header=header, cause="crash")
            self.expected.announce(call, within_seconds=seconds_left(header))

    async def drain(self) -> None:
        """Take no new calls and let the live ones end."""
        await self.manager.drain(self.settings.server.drain_timeout_seconds)

    async def stop(self) -> None:
        """End what still lives and let go of everything."""
        self._loop_watch.stop()
        self.collector.stop()
        self.expected.close()
        await self.manager.drain(0)
        await self.manager.stop()
        await self.agents.stop()
        await self.phrases.close()
        await self.retention.close()
        await self.carrier.close()
        await self.keeper.close()
        await self.answered.close()
        await self.journals.close()
        await self.reports.close()
        if self.backend_agents is not None:
            await self.backend_agents.close()
        await self.indexer.close()
        await self.disk.stop()
        await self._vad.stop()
        await self.storage.close()
        await self.credentials.close()
        await close_shared_clients()
        for session in (*self._webhook_sessions, self._http):
            await session.close()

    def _start_backend(self, backend: BackendClient | None, data: Path) -> None:
        """Whom to ask for agents, and whom to tell of calls."""
        receivers: list[Receiver] = []
        if backend is not None:
            self.backend_agents = BackendAgents(
                self.providers,
                self.settings,
                backend,
                data / "agents",
                load=self.factory.load,
                on_fetch=metrics.agent_fetched,
                on_change=self._backend_agent_changed,
            )
            receivers.append(VoiceraReceiver(backend, self.settings.backend))
        for webhook in self.settings.webhooks:
            session = webhook_session(allow_private=webhook.allow_private)
            self._webhook_sessions.append(session)
            receivers.append(WebhookReceiver(webhook, session))
        self.directory = AgentDirectory(self.agents, self.backend_agents)
        self.reports = CallReports(
            data / "outbox", receivers, on_attempt=metrics.report_attempted, key=self._key
        )

    def _start_sessions(self, data: Path) -> None:
        settings = self.settings
        bot = BotParts(
            factory=self.factory,
            vad=self._vad,
            phrases=self.phrases,
            breakers=self.breakers,
            building=self.building,
            on_sent=self.load.frame_sent,
            on_dropped=metrics.dropped,
        )
        self.indexer = CallIndexer(self.index, self.storage, data)
        self.keeper = RecordKeeper(
            self.storage,
            data / "journal",
            on_stored=self._stored,
            report=self._report,
            prices=settings.prices,
            options=KeeperOptions(
                parallel=settings.storage.uploads_at_once,
                alert_seconds=settings.storage.alert_after_seconds,
            ),
        )
        self.retention = RetentionSweeper(
            self.storage, self.keeper.amending, on_changed=indexer_changes(self.indexer)
        )
        self.carrier = CarrierRecordings(
            data / CARRIER_FOLDER,
            self._vobiz_recordings(),
            self.storage,
            self.keeper.amending,
            on_changed=indexer_changes(self.indexer),
        )
        parts = SessionParts(
            bot=bot,
            journals=self.journals,
            live=self.live,
            lead_ms=settings.vobiz.lead_ms,
            reports=self.reports,
            carrier=self.carrier,
        )
        lines = Lines(
            most=settings.server.max_connections, inbound_reserve=settings.server.inbound_reserve
        )
        self.manager = SessionManager(
            parts,
            self.keeper,
            Admission(lines, self._trouble),
            promised=lambda: self.expected.waiting,
            answered=self.answered,
        )
        self.manager.index_with(self.indexer)
        self.reception = Reception(
            self.directory,
            self.manager,
            self.expected,
            jwt_secret=self.jwt_secret,
            default_agent=settings.default_agent,
            options=DialectOptions(vobiz=self.vobiz),
        )

    def _vobiz_recordings(self) -> VobizRecordings | None:
        account = VobizAccount.from_settings(self.settings.vobiz)
        if account is None:
            return None
        foreign = webhook_session(allow_private=False)
        self._webhook_sessions.append(foreign)
        return VobizRecordings(account, self._http, foreign)

    def _loop_blocked(self, seconds: float) -> None:
        metrics.EVENT_LOOP_BLOCKED.inc()
        for session in self.manager:
            session.loop_blocked(seconds)

    def _trouble(self) -> RefusalReason | None:
        """What keeps the server from serving one more call well."""
        return self.load.trouble(time.monotonic()) or (
            "disk_full" if self.disk.state == "full" else None
        )

    def _stored(self, call: StoredCall) -> None:
        self.indexer.stored(call)
        self.carrier.stored(call)
        self.manager.ended.stored(call)
        self.reports.call_safe(call)

    async def _report(self, call: StoredCall) -> None:
        """What has to be before a stored call's journal goes."""
        await self.answered.removed(call.record.session_id)
        await self.reports.call_stored(call)

    def _no_start(self, call: ExpectedCall) -> None:
        self.manager.record_no_start(call.header, call.cause)
        if call.hangup is not None:
            self.manager.carrier_hung_up(call.call_id, call.hangup)

    def _backend_agent_changed(self, agent_id: str, agent: AgentConfig | None) -> None:
        if self.agents.find(agent_id) is None:  # Files win.
            kind: Literal["changed", "removed"] = "removed" if agent is None else "changed"
            self._agent_changed(AgentChange(kind, agent_id, agent))

    def _agent_changed(self, change: AgentChange) -> None:
        if change.agent is None:
            self.phrases.forget(change.agent_id)
        else:
            self.credentials.fetch(change.agent)
            self.phrases.prepare(change.agent)


def server_parts(connection: HTTPConnection) -> ServerParts:
    """The parts of the server that a request came to."""
    parts: ServerParts = connection.app.state.parts
    return parts


async def _parts(connection: HTTPConnection) -> ServerParts:
    """The same as a dependency: FastAPI would have a thread run one that is no coroutine."""
    return server_parts(connection)


Parts = Annotated[ServerParts, Depends(_parts)]
