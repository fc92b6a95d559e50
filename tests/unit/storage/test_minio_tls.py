"""A MinIO with a private authority's certificate: trusted by file, or refused with advice."""

import asyncio
import os
import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from config.errors import ConfigError, StorageError
from config.sections import StorageSettings
from config.settings import Settings, load_settings
from storage.factory import build_storage
from storage.minio import MinioStorage
from tests.certificates import make_certificate
from tests.minio import S3Server
from tests.unit.storage.wires import opened

KEYS = {"minio_access_key": SecretStr("user"), "minio_secret_key": SecretStr("password")}
ELSEWHERE = S3Server(folder=Path())


async def refusal(made: MinioStorage, code: str = "storage_denied") -> str:
    """What health and an upload say alike; an operator has to mend it."""
    with pytest.raises(StorageError) as asked:
        await made.health()
    with pytest.raises(StorageError) as put:
        await made.put_bytes("recordings", "a", b"1", "text/plain")
    assert asked.value.code == put.value.code == code
    assert asked.value.message.partition(": ")[2] == put.value.message.partition(": ")[2]
    return put.value.message


async def test_trusted_by_file_whatever_the_settings_load(minio_tls: S3Server) -> None:
    assert minio_tls.tls is not None
    env = {
        "STORAGE_KIND": "minio",
        "MINIO_ENDPOINT": f"127.0.0.1:{minio_tls.port}",
        "MINIO_ACCESS_KEY": minio_tls.access_key,
        "MINIO_SECRET_KEY": minio_tls.secret_key,
        "MINIO_SECURE": "true",
        "MINIO_CA_FILE": str(minio_tls.tls.ca_file),
    }
    made = build_storage(load_settings(env=env))
    await made.put_bytes("recordings", "a", b"1", "text/plain")
    assert await made.read("recordings", "a") == b"1"
    await made.health()
    await made.close()


async def test_without_it_the_certificate_is_refused_with_advice(minio_tls: S3Server) -> None:
    async with opened(minio_tls, ca_file=None) as made:
        message = await refusal(made)
    assert "certificate is refused: unable to get local issuer certificate" in message
    assert "set storage.ca_file (MINIO_CA_FILE)" in message


async def test_another_authority_is_refused(minio_tls: S3Server, tmp_path: Path) -> None:
    other = make_certificate(tmp_path / "other").ca_file
    async with opened(minio_tls, ca_file=other) as made:
        assert "set storage.ca_file (MINIO_CA_FILE)" in await refusal(made)


async def test_another_host_than_the_certificate_names(minio_tls: S3Server) -> None:
    async with opened(minio_tls, endpoint=f"localhost:{minio_tls.port}") as made:
        assert "has to name the host in MINIO_ENDPOINT" in await refusal(made)


async def test_plain_http_to_a_minio_with_tls(minio_tls: S3Server) -> None:
    async with opened(minio_tls, secure=False, ca_file=None) as made:
        assert "if it speaks TLS: MINIO_SECURE=true" in await refusal(made, "storage_failed")


async def test_tls_to_a_minio_without(minio: S3Server, minio_tls: S3Server) -> None:
    assert minio_tls.tls is not None
    async with opened(minio, secure=True, ca_file=minio_tls.tls.ca_file) as made:
        assert "speaks no TLS there: set MINIO_SECURE=false" in await refusal(made)


async def test_an_old_certificate(tmp_path: Path) -> None:
    served = make_certificate(tmp_path, expired=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served.certificate, served.key)
    listening = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    endpoint = "{}:{}".format(*listening.sockets[0].getsockname()[:2])
    async with opened(ELSEWHERE, endpoint=endpoint, secure=True, ca_file=served.ca_file) as made:
        assert "certificate has expired. Renew it" in await refusal(made)
    listening.close()
    await listening.wait_closed()


def build(ca_file: Path) -> None:
    settings = StorageSettings(kind="minio", minio_secure=True, ca_file=ca_file, **KEYS)  # type: ignore[arg-type]
    build_storage(Settings(storage=settings))


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "holds no certificates in PEM"),
        (b"not a certificate", "holds no certificates in PEM"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds no certificates",
        ),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, wrong: str) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=wrong) as caught:
        build(file)
    assert str(file) in caught.value.message
    assert "storage.ca_file (MINIO_CA_FILE)" in caught.value.message


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = make_certificate(tmp_path).ca_file
    file.chmod(0)
    if os.geteuid() == 0:  # Root may read everything: a folder is what it cannot read so.
        file.unlink()
        file.mkdir()
    with pytest.raises(ConfigError, match=r"cannot be read: (Permission denied|Is a directory)"):
        build(file)


def test_it_is_for_tls_only(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="set MINIO_SECURE=true, or leave it out"):
        StorageSettings(kind="minio", ca_file=tmp_path / "a.pem", **KEYS)  # type: ignore[arg-type]
