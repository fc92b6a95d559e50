"""A real MinIO for the tests of one file: over HTTP, and over TLS."""

from collections.abc import Iterator

import pytest

from tests.certificates import make_certificate
from tests.minio import NO_MINIO, S3Server, find_minio, s3_server


@pytest.fixture(scope="module")
def minio() -> Iterator[S3Server]:
    if find_minio() is None:
        pytest.skip(NO_MINIO)
    with s3_server("minio") as server:
        yield server


@pytest.fixture(scope="module")
def minio_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if find_minio() is None:
        pytest.skip(NO_MINIO)
    served = make_certificate(tmp_path_factory.mktemp("certificates"))
    with s3_server("minio", tls=served) as server:
        yield server
