"""The sections of the server-wide settings: what may stand in each, and its default.

A field that has an environment variable of its own names it with ``Env``, of
``config.setting_fields``.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)

from config.setting_fields import Env, HttpUrl, Origin, SettingsSection, listed


class ServerSettings(SettingsSection):
    """Where the server listens, and how many calls it takes."""

    host: Annotated[str, Env("HOST")] = Field(
        default="127.0.0.1", description="Address to listen on."
    )
    port: Annotated[int, Env("PORT")] = Field(default=7860, ge=0, le=65535, description="Port.")
    max_connections: Annotated[int, Env("MAX_CONNECTIONS")] = Field(
        default=100, ge=1, le=10_000, description="Calls at once; one more is refused."
    )
    session_timeout_seconds: Annotated[float, Env("SESSION_TIMEOUT")] = Field(
        default=1800,
        gt=0,
        le=86_400,
        validation_alias=AliasChoices("session_timeout", "session_timeout_seconds"),
        description="Longest call in seconds, for agents that do not say.",
    )
    drain_timeout_seconds: Annotated[float, Env("DRAIN_TIMEOUT")] = Field(
        default=60,
        ge=0,
        le=3600,
        description="How long calls may go on after SIGTERM, in seconds.",
    )
    inbound_reserve: Annotated[int, Env("INBOUND_RESERVE")] = Field(
        default=0,
        ge=0,
        le=9999,
        description="Of these, lines kept for incoming phone calls: outbound calls and client "
        "programs never get them.",
    )
    max_loop_lag_ms: Annotated[float, Env("MAX_LOOP_LAG_MS")] = Field(
        default=150,
        ge=20,
        le=5000,
        description="No new calls while the event loop turns later than this, on average over "
        "a second, in ms, and for a few seconds after.",
    )
    max_frame_lateness_ms: Annotated[float, Env("MAX_FRAME_LATENESS_MS")] = Field(
        default=150,
        ge=20,
        le=5000,
        description="The same for packets to callers that leave later than they are due.",
    )
    disk_warn_percent: Annotated[float, Env("DISK_WARN_PERCENT")] = Field(
        default=80, gt=0, le=100, description="How full the disk may be before that is logged."
    )
    disk_full_percent: Annotated[float, Env("DISK_FULL_PERCENT")] = Field(
        default=95, gt=0, le=100, description="How full before no new calls are taken."
    )
    public_url: Annotated[HttpUrl | None, Env("PUBLIC_URL")] = Field(
        default=None,
        description="The address carriers reach, such as https://voice.example.in; "
        "without it the address of each request is used.",
    )
    allowed_origins: Annotated[
        tuple[Origin, ...], BeforeValidator(listed), Env("ALLOWED_ORIGINS")
    ] = Field(
        default=(),
        description="Web pages of other hosts that may open /voice, such as "
        "https://app.example.in; several with commas. The server's own pages always may.",
    )

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.inbound_reserve >= self.max_connections:
            raise ValueError("inbound_reserve must be below max_connections")
        if self.disk_warn_percent > self.disk_full_percent:
            raise ValueError("disk_warn_percent must not be above disk_full_percent")
        return self


class BackendSettings(SettingsSection):
    """VoiceERA's backend: keeps organisations' keys and agents, and is told of calls."""

    api_url: Annotated[HttpUrl | None, Env("VOICERA_BACKEND_URL")] = Field(
        default=None,
        description="Address of VoiceERA's backend, such as http://localhost:8000; without one, "
        "keys come from here alone.",
    )
    api_key: Annotated[SecretStr | None, Env("INTERNAL_API_KEY")] = Field(
        default=None, description="Sent to it as X-API-Key; without one, it is not asked."
    )
    keys_ttl_seconds: Annotated[float, Env("BACKEND_KEYS_TTL")] = Field(
        default=300,
        ge=1,
        le=86_400,
        description="How long a vendor's key from it is used before it is asked again.",
    )
    keys_wait_seconds: Annotated[float, Env("BACKEND_KEYS_WAIT")] = Field(
        default=2,
        gt=0,
        le=30,
        description="Longest that the beginning of a call waits for its vendors' keys.",
    )
    agents_ttl_seconds: Annotated[float, Env("BACKEND_AGENTS_TTL")] = Field(
        default=60,
        ge=1,
        le=86_400,
        description="How long an agent from it is used before it is asked again.",
    )
    agents_wait_seconds: Annotated[float, Env("BACKEND_AGENTS_WAIT")] = Field(
        default=2,
        gt=0,
        le=10,
        description="Longest that a call waits for an agent that only it may know.",
    )
    upload_recordings: bool = Field(default=True, description="Tell it where recordings are.")
    upload_transcripts: bool = Field(
        default=True, description="Send it the text of transcripts; it hears where they are anyway."
    )

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked: its address and the key for it are known."""
        return self.api_url is not None and self.api_key is not None


class StorageSettings(SettingsSection):
    """Where recordings, transcripts and call records are kept."""

    kind: Annotated[Literal["filesystem", "minio"], Env("STORAGE_KIND")] = Field(
        default="filesystem",
        validation_alias=AliasChoices("kind", "provider"),
        description="filesystem (in the data folder) or minio (any S3 service).",
    )
    journal_key: Annotated[SecretStr | None, Env("JOURNAL_KEY")] = Field(
        default=None,
        description="Encrypts calls on disk until they are stored: base64 of 32 bytes "
        "(openssl rand -base64 32). Several with commas: the first encrypts, all can read.",
    )
    alert_after_seconds: Annotated[float, Env("STORAGE_ALERT_AFTER")] = Field(
        default=900,
        ge=1,
        description="Once a call has waited on disk for so long to be stored, the log says so as "
        "an error, again after each further time of that length.",
    )
    uploads_at_once: Annotated[int, Env("STORAGE_UPLOADS")] = Field(
        default=4, ge=1, le=64, description="Calls that are stored at the same time, at most."
    )
    minio_endpoint: Annotated[str, Env("MINIO_ENDPOINT")] = Field(
        default="localhost:9000",
        pattern=r"^[A-Za-z0-9.:_\[\]-]+$",
        description="host:port, no scheme.",
    )
    minio_access_key: Annotated[SecretStr | None, Env("MINIO_ACCESS_KEY")] = Field(
        default=None, description="Its access key."
    )
    minio_secret_key: Annotated[SecretStr | None, Env("MINIO_SECRET_KEY")] = Field(
        default=None, description="Its secret key."
    )
    minio_secure: Annotated[bool, Env("MINIO_SECURE")] = Field(
        default=False, description="Use TLS."
    )
    ca_file: Annotated[Path | None, Env("MINIO_CA_FILE")] = Field(
        default=None,
        description="PEM file of the authority that signed MinIO's certificate, where it is a "
        "private one; no other is believed then.",
    )
    minio_region: Annotated[str, Env("MINIO_REGION")] = Field(
        default="us-east-1",
        pattern=r"^[a-z0-9-]{1,64}$",
        description="Region of the buckets, such as ap-south-1; MinIO takes the default.",
    )
    public_endpoint: Annotated[HttpUrl | None, Env("MINIO_PUBLIC_ENDPOINT")] = Field(
        default=None,
        description="Address by which browsers reach it, such as https://files.example.in, for "
        "links to recordings; by default minio_endpoint.",
    )
    encryption: Literal["none", "sse-s3", "sse-kms", "sse-c"] = Field(
        default="none",
        description="How the service encrypts what is stored: none (as the bucket says), sse-s3, "
        "sse-kms (with kms_key_id) or sse-c (with customer_key, over TLS only).",
    )
    kms_key_id: str | None = Field(
        default=None, pattern=r"^[\x21-\x7e]{1,512}$", description="Key for sse-kms."
    )
    customer_key: Annotated[SecretStr | None, Env("MINIO_SSE_CUSTOMER_KEY")] = Field(
        default=None,
        description="Key for sse-c: 32 bytes in base64. Whoever loses it loses the recordings.",
    )
    recordings_bucket: str = Field(default="recordings", description="Bucket of the recordings.")
    transcripts_bucket: str = Field(
        default="transcripts", description="Bucket of the transcripts and call records."
    )

    @model_validator(mode="after")
    def _minio_has_keys(self) -> Self:
        keys = (self.minio_access_key, self.minio_secret_key)
        if self.kind == "minio" and None in keys:
            raise ValueError("kind minio needs MINIO_ACCESS_KEY and MINIO_SECRET_KEY")
        if self.ca_file is not None and not self.minio_secure:
            raise ValueError(
                "ca_file (MINIO_CA_FILE) is for TLS only: set MINIO_SECURE=true, or leave it out"
            )
        if self.encryption == "sse-c" and not self.minio_secure:
            raise ValueError(
                "encryption sse-c sends its key with every request, so it needs TLS: set "
                "MINIO_SECURE=true, or choose sse-s3 or sse-kms"
            )
        if self.encryption == "sse-kms" and not self.kms_key_id:
            raise ValueError("encryption sse-kms needs kms_key_id")
        if self.encryption == "sse-c" and self.customer_key is None:
            raise ValueError("encryption sse-c needs MINIO_SSE_CUSTOMER_KEY")
        if self.public_endpoint and urlsplit(self.public_endpoint).path:
            raise ValueError("public_endpoint has no path: a signed link would not work below one")
        return self


class IndexSettings(SettingsSection):
    """The index of calls: what ``/api/v1/calls`` lists and looks up."""

    url: Annotated[SecretStr | None, Env("INDEX_URL")] = Field(
        default=None,
        description="PostgreSQL, such as postgresql://user:password@host:5432/database, which "
        "several servers may share; without it, a file of SQLite in the data folder.",
    )


ByteOrder = Literal["big", "little"]


class VobizSettings(SettingsSection):
    """The telephony provider Vobiz: its account, and how its streams sound.

    Vobiz documents 16-bit audio (``audio/x-l16``) as big-endian towards us and little-endian
    from us; working code elsewhere disagrees, so both are settings. Mu-law has no byte order.
    """

    auth_id: Annotated[str | None, Env("VOBIZ_AUTH_ID")] = Field(
        default=None, description="Account id."
    )
    auth_token: Annotated[SecretStr | None, Env("VOBIZ_AUTH_TOKEN")] = Field(
        default=None, description="Account token."
    )
    api_base: Annotated[HttpUrl, Env("VOBIZ_API_BASE")] = Field(
        default="https://api.vobiz.ai/api/v1", description="Address of its REST interface."
    )
    media_base: Annotated[HttpUrl | None, Env("VOBIZ_MEDIA_BASE")] = Field(
        default="https://media.vobiz.ai",
        description="Where Vobiz keeps its recordings: besides api_base the only address that the "
        "account's token is sent to.",
    )
    foreign_recordings: bool = Field(
        default=False,
        description="Fetch Vobiz's recordings from whatever public host it names, over https and "
        "without the account's token.",
    )
    caller_id: Annotated[str | None, Env("VOBIZ_CALLER_ID")] = Field(
        default=None, description="Own number to dial from."
    )
    content_type: Annotated[
        Literal[
            "audio/x-mulaw;rate=8000",
            "audio/x-l16;rate=8000",
            "audio/x-l16;rate=16000",
            "audio/x-l16;rate=24000",
        ],
        Env("VOBIZ_CONTENT_TYPE"),
    ] = Field(default="audio/x-mulaw;rate=8000", description="Audio to ask for in the answer XML.")
    l16_in_order: Annotated[ByteOrder, Env("VOBIZ_L16_IN_ORDER")] = Field(
        default="big", description="Byte order of 16-bit audio from Vobiz: big or little."
    )
    l16_out_order: Annotated[ByteOrder, Env("VOBIZ_L16_OUT_ORDER")] = Field(
        default="little", description="Byte order of 16-bit audio to Vobiz: big or little."
    )
    # In a trial at 16 calls it took the gaps heard from 26, at one packet ahead, to none.
    lead_ms: Annotated[int, Env("VOBIZ_LEAD_MS")] = Field(
        default=300, ge=0, le=2000, description="How far ahead of real time audio is sent, in ms."
    )
