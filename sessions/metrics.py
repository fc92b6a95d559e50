"""Counters and gauges for Prometheus. Labels come from closed lists, never from callers."""

from prometheus_client import Counter, Gauge, Histogram

from bot.events import CallEvent, Degraded, LanguageChanged, TurnMetrics

SESSIONS_ACTIVE = Gauge("sessions_active", "Calls that are live now")
SESSIONS_TOTAL = Counter("sessions_total", "Calls admitted", ["dialect"])
SESSIONS_REFUSED = Counter("sessions_refused_total", "Calls refused before they began", ["reason"])
ADMISSION_REFUSED = Counter(
    "admission_refused_total", "Calls turned away at any door for lack of capacity", ["reason"]
)
CONNECTIONS_CUT = Counter(
    "connections_cut_total", "Connections closed whose request had not arrived", ["reason"]
)
EVENT_LOOP_LAG_SECONDS = Histogram(
    "event_loop_lag_seconds",
    "How late the event loop turns, measured ten times a second",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5),
)
EVENT_LOOP_BLOCKED = Counter(
    "event_loop_blocked_total", "Times the event loop stood still for over 250 ms"
)
FULL_COLLECTION_SECONDS = Histogram(
    "full_collection_seconds",
    "How long each full run of Python's garbage collector held up every call",
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0),
)
FRAME_LATENESS_SECONDS = Histogram(
    "frame_lateness_seconds",
    "How late packets left for callers that had been waiting for their time",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
)
DISK_USED_PERCENT = Gauge("disk_used_percent", "How full the disk of the data folder is")
SESSIONS_ENDED = Counter("sessions_ended_total", "Calls ended", ["cause"])
ERRORS = Counter("errors_total", "Things that failed while a call went on", ["stage", "kind"])
WIRE_MESSAGES_BAD = Counter("wire_messages_bad_total", "Messages that broke a protocol", ["code"])
WIRE_MESSAGES_IGNORED = Counter(
    "wire_messages_ignored_total", "Messages of calls that were passed over", ["reason"]
)
MEDIA_DROPPED = Counter("media_dropped_total", "Packets of caller audio dropped", ["reason"])
PEER_MESSAGES_DROPPED = Counter(
    "peer_messages_dropped_total", "Messages that a slow client program missed"
)
QUEUE_DROPPED = Counter(
    "queue_dropped_total", "Things that did not fit into a call's queue", ["queue"]
)
LIVE_EVENTS_DROPPED = Counter("live_events_dropped_total", "Events a slow listener missed")
SPOOL_FILES = Gauge("spool_files", "Calls that wait on disk to be stored")
SPOOL_OLDEST_SECONDS = Gauge("spool_oldest_seconds", "How long the first of them has waited")
JOURNALS_LOCKED = Gauge(
    "journals_locked",
    "Calls on disk that this process cannot read: their key is unknown, or they are too new",
    ["reason"],
)
JOURNALS_SET_ASIDE = Gauge(
    "journals_set_aside", "Journals that nothing could be made of, since this process began"
)
JOURNAL_FAILING_CALLS = Gauge(
    "journal_failing_calls", "Calls whose sound and events the disk does not take now"
)
JOURNAL_FLUSH_SECONDS = Gauge(
    "journal_flush_seconds", "Worst time to write what all calls had waiting, since the last look"
)
JOURNAL_DROPPED_PACKETS = Counter(
    "journal_dropped_packets_total", "Pieces of sound lost because the disk did not keep up"
)
JOURNAL_DROPPED_EVENTS = Counter(
    "journal_dropped_events_total", "Events of calls that found no way to the disk"
)
TTS_UNDERRUNS = Counter("tts_underruns_total", "Utterances in which a voice was too slow")
PROVIDER_TROUBLED = Gauge(
    "provider_troubled", "Vendors that are left alone for a while", ["stage", "provider"]
)
CONFIG_REJECTS = Gauge("config_rejects", "Agent files that are refused as they are now", ["file"])
LANGUAGE_CHANGES = Counter(
    "language_changes_total", "Changes of a call's language, by what asked for them", ["reason"]
)
RESPONSE_SECONDS = Histogram(
    "response_seconds",
    "End of the caller's speech to first reply audio",
    buckets=(0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0),
)
STAGE_SECONDS = Histogram(
    "stage_seconds",
    "Latency of each stage of a turn",
    ["stage"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0),
)
#: Keys that the backend keeps for organisations. The outcome is ``found``, ``absent`` or the
#: code of a ``BackendError``; ``backend_crashed`` is a mistake of ours.
INDEX_FAILURES = Counter("index_failures_total", "Times the index of calls could not be written")
CREDENTIAL_FETCHES = Counter(
    "credential_fetches_total", "Keys asked of the backend, and how that ended", ["outcome"]
)
CREDENTIAL_FETCH_SECONDS = Histogram(
    "credential_fetch_seconds",
    "How long the backend took to say a key, or that it will not",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
#: Reports of calls to others. The receiver is ``backend`` or ``webhook``; the outcome is
#: ``delivered``, ``rejected`` (refused for good) or a word for why it is tried again.
OUTBOX_FILES = Gauge("outbox_files", "Reports of calls that wait on disk", ["receiver"])
OUTBOX_OLDEST_SECONDS = Gauge(
    "outbox_oldest_seconds", "How long the first of them has waited", ["receiver"]
)
OUTBOX_DELIVERIES = Counter(
    "outbox_deliveries_total", "Reports of calls that were sent", ["receiver", "outcome"]
)
OUTBOX_POSTPONED = Gauge(
    "outbox_postponed", "Reports of live calls that were put off until the call was stored"
)
#: Recordings that a carrier makes. The outcome is one of ``sessions.carrier_files.Outcome``.
CARRIER_RECORDINGS = Counter(
    "carrier_recordings_total", "Recordings of the carrier's that are settled", ["outcome"]
)
CARRIER_RECORDINGS_WAITING = Gauge(
    "carrier_recordings_waiting", "Recordings of the carrier's that are still to come"
)
CARRIER_RECORDINGS_OLDEST_SECONDS = Gauge(
    "carrier_recordings_oldest_seconds", "How long the first of them has waited"
)
INDEX_WAITING = Gauge("index_waiting", "Calls whose news are not in the index of calls yet")
AGENT_FETCHES = Counter(
    "agent_fetches_total", "Agents asked of the backend, and how that ended", ["outcome"]
)


def dropped(queue: str) -> None:
    """Count what did not fit into a queue."""
    QUEUE_DROPPED.labels(queue).inc()


def report_attempted(receiver: str, outcome: str) -> None:
    """Count a report that was sent."""
    OUTBOX_DELIVERIES.labels(receiver, outcome).inc()
    if outcome != "delivered":
        ERRORS.labels(receiver, outcome).inc()


def agent_fetched(outcome: str) -> None:
    """Count an agent that was asked of the backend."""
    AGENT_FETCHES.labels(outcome).inc()
    _count_fetch(outcome)


def credential_fetched(outcome: str, seconds: float) -> None:
    """Count a key that was asked of the backend."""
    CREDENTIAL_FETCHES.labels(outcome).inc()
    CREDENTIAL_FETCH_SECONDS.observe(seconds)
    _count_fetch(outcome)


def _count_fetch(outcome: str) -> None:
    """What the backend did not say is an error; that there is no such thing is none."""
    if outcome not in ("found", "absent"):
        ERRORS.labels("backend", outcome).inc()


def count(event: CallEvent) -> None:
    """Count what happened in a call."""
    match event:
        case LanguageChanged(reason=reason):
            LANGUAGE_CHANGES.labels(reason).inc()
        case Degraded(stage=stage, kind=kind):
            ERRORS.labels(stage, kind).inc()
            if (stage, kind) == ("tts", "underrun"):
                TTS_UNDERRUNS.inc()
        case TurnMetrics(response_ms=response_ms):
            if response_ms is not None:
                RESPONSE_SECONDS.observe(response_ms / 1000)
            for stage, value_ms in _stages(event):
                if value_ms is not None:
                    STAGE_SECONDS.labels(stage).observe(value_ms / 1000)
        case _:
            pass


def _stages(event: TurnMetrics) -> tuple[tuple[str, float | None], ...]:
    return (("stt", event.stt_ms), ("llm", event.llm_ms), ("tts", event.tts_ms))
