"""What contract tests share: the stores, the databases, and vendors' keys.

Importing Pipecat warns of what it deprecates itself; that is let pass.
"""

import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import pipecat.services.tts_service
    import pipecat.tests.utils  # noqa: F401

from storage.base import Storage
from storage.filesystem import FilesystemStorage
from storage.minio import MinioStorage
from tests.minio import NO_MINIO, S3Server, find_minio, s3_server
from tests.postgres import PostgresServer, postgres_server
from tests.unit.services.kenpath.keys import write_key


@pytest.fixture(scope="session")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables whose value is no key but the path of a file that holds one."""
    private, _ = write_key(tmp_path_factory.mktemp("keys"))
    return {"KENPATH_JWT_PRIVATE_KEY_PATH": str(private)}


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    with s3_server("moto") as server:
        yield server


@pytest.fixture(scope="module")
def minio() -> Iterator[S3Server]:
    if find_minio() is None:
        pytest.skip(NO_MINIO)
    with s3_server("minio") as server:
        assert server.real
        yield server


@pytest.fixture(params=["filesystem", "moto", "minio"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    made: Storage
    if request.param == "filesystem":
        made = FilesystemStorage(tmp_path / "store")
    else:
        server: S3Server = request.getfixturevalue(request.param)
        buckets = {kind: f"{kind}-{uuid4().hex[:12]}" for kind in ("recordings", "transcripts")}
        made = MinioStorage(server.options(buckets=buckets))
    yield made
    await made.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        if server is None:
            pytest.skip("PostgreSQL is not installed: make postgres")
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest) -> SecretStr | None:
    if request.param == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres")
    return SecretStr(server.database())
