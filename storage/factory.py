"""Picks the store and the index of calls that the settings ask for."""

from config.errors import ConfigError
from config.settings import Settings
from storage.base import Storage
from storage.filesystem import FilesystemStorage
from storage.index.calls import CallIndex
from storage.minio import MinioStorage
from storage.minio_options import Encryption, MinioOptions

#: Threads for uploads beside those of calls: the carrier's files, fetched two at a time.
_OTHER_UPLOADS = 2


def build_index(settings: Settings) -> CallIndex:
    """The index of calls; nothing is touched yet.

    Raises:
        ConfigError: Its address cannot be used.
    """
    return CallIndex(settings.data_dir.absolute() / "calls.db", settings.index.url)


def build_storage(settings: Settings) -> Storage:
    """The store for recordings, transcripts and call records; nothing is touched yet.

    Raises:
        ConfigError: MinIO is asked for without keys, with an encryption that cannot be, or
            with a file of authorities that cannot be used.
    """
    chosen = settings.storage
    if chosen.kind == "filesystem":
        return FilesystemStorage(settings.data_dir / "storage")
    if chosen.minio_access_key is None or chosen.minio_secret_key is None:
        raise ConfigError("storage kind minio needs MINIO_ACCESS_KEY and MINIO_SECRET_KEY")
    return MinioStorage(
        MinioOptions(
            endpoint=chosen.minio_endpoint,
            access_key=chosen.minio_access_key,
            secret_key=chosen.minio_secret_key,
            secure=chosen.minio_secure,
            ca_file=chosen.ca_file,
            region=chosen.minio_region,
            public_endpoint=chosen.public_endpoint,
            encryption=Encryption(
                kind=chosen.encryption,
                kms_key_id=chosen.kms_key_id,
                customer_key=chosen.customer_key,
            ),
            buckets={
                "recordings": chosen.recordings_bucket,
                "transcripts": chosen.transcripts_bucket,
            },
            # One for each call that is stored at once: none waits for its turn.
            threads=chosen.uploads_at_once + _OTHER_UPLOADS,
        )
    )
