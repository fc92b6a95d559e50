"""Starts PostgreSQL on loopback for tests, where its packages are there (``make postgres``)."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.minio import free_port

_INSTALLER = Path(__file__).parent.parent / "scripts" / "install_postgres.sh"
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


def find_postgres() -> Path | None:
    """The folder of its programs, or None where ``make postgres`` has not been run."""
    found = subprocess.run(
        [_INSTALLER, "--find"], capture_output=True, text=True, check=True, timeout=60
    )
    return Path(found.stdout.strip()) if found.stdout.strip() else None


@dataclass
class PostgresServer:
    """One server that can be stopped and started again on the same port and data.

    Attributes:
        programs: Folder of ``postgres``, ``initdb`` and ``psql``.
    """

    programs: Path
    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    _process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make an empty cluster, to which ``tester`` has the password."""
        if (user := self._user()) is not None:
            shutil.chown(self.folder, user)
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        options = ["--auth=scram-sha-256", "--username=tester", f"--pwfile={secret}"]
        self._run(
            "initdb", "--pgdata", str(self.folder / "data"), "--no-sync", "-E", "UTF8", *options
        )

    def start(self) -> None:
        """Run it and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        arguments = [word for item in settings.items() for word in ("-c", "=".join(item))]
        data = ["-D", str(self.folder / "data"), "-p", str(self.port)]
        self._process = subprocess.Popen(
            [str(self.programs / "postgres"), *data, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            user=self._user(),
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._psql("postgres", "SELECT 1").returncode == 0:
                return
            assert self._process.poll() is None, "PostgreSQL ended at once"
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")

    def stop(self) -> None:
        """End it at once; does nothing where it is not running."""
        if self._process is not None:
            # SIGQUIT: all its processes go; SIGKILL would leave its children.
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"calls_{secrets.token_hex(6)}"
        made = self._psql("postgres", f"CREATE DATABASE {name}")
        assert made.returncode == 0, made.stderr
        return f"postgresql://tester:{self.password}@127.0.0.1:{self.port}/{name}"

    def _psql(self, database: str, statement: str) -> subprocess.CompletedProcess[str]:
        address = f"postgresql://tester:{self.password}@127.0.0.1:{self.port}/{database}"
        return subprocess.run(
            [self.programs / "psql", "-X", "-q", "-c", statement, address],
            capture_output=True,
            text=True,
            timeout=30,
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
            user=self._user(),
        )
        assert done.returncode == 0, done.stderr

    def _user(self) -> str | None:
        """PostgreSQL does not run as root: the packages' own user, or nobody."""
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"


@contextmanager
def postgres_server() -> Iterator[PostgresServer | None]:
    """A running server with a cluster of its own; None where PostgreSQL is not installed."""
    programs = find_postgres()
    if programs is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = PostgresServer(programs, Path(folder))
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.stop()
