"""Real servers for tests: PostgreSQL and an S3 service, one of each for a test process.

They start when the first test asks, listen on free ports of 127.0.0.1, keep all they write in a
temporary folder, and end with the process that started them, also when it is killed (``guard.py``).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3
from minio import Minio
from minio.error import MinioException

from storage.objects.buckets import S3Settings
from tests.support.install import postgres_bin

START_SECONDS = 90.0
GUARD = Path(__file__).with_name("guard.py")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports of an address of this machine that nobody listens on at this moment, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((host, 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def served(
    command: Callable[[Path], Sequence[str]],
    ready: Callable[[], bool],
    *,
    user: str = "",
    litter: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """A server that runs within the block; ``command`` is told its temporary folder.

    ``litter`` are paths that the server makes elsewhere, to be removed after it.
    """
    folder = Path(tempfile.mkdtemp(prefix="dli-server-"))
    if user:
        shutil.chown(folder, user)
    try:
        arguments = list(command(folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    guard = subprocess.Popen(
        [sys.executable, str(GUARD), str(folder), user, os.pathsep.join(litter), *arguments],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder), **(environment or {})},
    )
    try:
        _await(ready, folder / "log")
        yield
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait()


def _await(ready: Callable[[], bool], log: Path) -> None:
    pause = threading.Event()
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-4000:] if log.exists() else ""
            raise RuntimeError(f"the server did not start:\n{tail}")
        pause.wait(0.05)


@contextmanager
def postgres(host: str = "127.0.0.1") -> Iterator[str]:
    """A fresh PostgreSQL without durability; gives the URL of its database ``postgres``.

    It listens on one address only, and lets in whoever reaches that.
    """
    programs = postgres_bin()
    if programs is None:
        raise RuntimeError("no PostgreSQL server here: run python -m tests.support.install")
    (port,) = free_ports(1, host)
    user = _unprivileged_user()
    url = f"postgresql://postgres@{host}:{port}/postgres"

    def command(folder: Path) -> list[str]:
        data = str(folder / "data")
        made = subprocess.run(
            [str(programs / "initdb"), "--pgdata", data, "--username", "postgres", "--auth",
             "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"],
            capture_output=True, text=True, check=False, cwd=folder, user=user or None,
            extra_groups=[] if user else None,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all trust\n")
        settings = {
            "listen_addresses": host,
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "max_locks_per_transaction": "256",
            "shared_buffers": "64MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(programs / "postgres"), "-D", data, *options]

    def ready() -> bool:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    with served(command, ready, user=user):
        yield url


def _unprivileged_user() -> str:
    """PostgreSQL refuses to run as root; nothing to change where we are not root."""
    if os.geteuid() != 0:
        return ""
    import pwd  # noqa: PLC0415  not on every platform

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running S3 service and a way to a bucket that nobody else has."""

    settings: S3Settings
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def client(self) -> Minio:
        """The foreign client itself, to prepare or inspect a bucket."""
        return s3_client(self.settings)

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{next(self._numbers)}"
        self.client().make_bucket(bucket_name=name)
        return name


def s3_client(settings: S3Settings) -> Minio:
    """A client that fails at once instead of waiting for minutes."""
    return Minio(
        endpoint=settings.endpoint,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        secure=settings.secure,
        region=settings.region,
        http_client=urllib3.PoolManager(timeout=10.0, retries=False),
    )


def project_policy() -> str:
    """What the manual says that the identity of the project ``sales`` has to be allowed."""
    manual = Path(__file__).parents[2] / "docs/pods.md"
    _, found, rest = manual.read_text().partition('```json\n{\n  "Version"')
    assert found, "the manual has no policy"
    return found.removeprefix("```json\n") + rest.partition("```")[0]


def tenant_keys(name: str) -> tuple[str, str]:
    """The access key and the secret key of a tenant of ``seaweedfs``."""
    return f"{name}-access", f"{name}-secret-key"


@contextmanager
def seaweedfs(
    host: str = "127.0.0.1", *, policies: Mapping[str, str] | None = None
) -> Iterator[S3Server]:
    """A fresh SeaweedFS with SigV4; it listens on one address only and phones nobody.

    Each name of ``policies`` is a tenant that may do what its policy says, as IAM understands it.
    """
    weed = Path(sys.executable).with_name("weed")
    ports = dict(
        zip(
            ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
             "filer.port.grpc", "s3.port", "s3.port.grpc"),
            free_ports(8, host),
            strict=True,
        )
    )  # fmt: skip
    settings = S3Settings(
        endpoint=f"{host}:{ports['s3.port']}",
        access_key="test-access",
        secret_key="test-secret-key",
        secure=False,
    )

    def command(folder: Path) -> list[str]:
        (folder / "data").mkdir()
        told = _identities(settings, policies or {})
        (folder / "identities.json").write_text(json.dumps(told))
        return [
            str(weed), f"-logdir={folder}", "server", f"-dir={folder / 'data'}",
            f"-ip={host}", f"-ip.bind={host}", "-filer", "-s3",
            *(f"-{name}={port}" for name, port in ports.items()),
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
            f"-filer.localSocket={folder / 'filer.sock'}", f"-s3.localSocket={folder / 's3.sock'}",
            "-volume.max=10000", "-volume.minFreeSpace=0", "-master.volumeSizeLimitMB=1024",
            "-master.electionTimeout=1s", "-master.telemetry=false",
            f"-s3.config={folder / 'identities.json'}",
        ]  # fmt: skip

    server = S3Server(settings=settings)
    litter = [  # these are not to be moved by any option
        f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part}.port.grpc']}.sock"
        for part in ("master", "volume", "filer", "s3")
    ]
    with served(command, lambda: _answers(server), litter=litter):
        yield server


def _identities(
    settings: S3Settings, policies: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Who SeaweedFS knows; the owner of ``settings`` may do all."""

    def known(name: str, keys: tuple[str, str], **may: list[str]) -> dict[str, Any]:
        key, secret = keys
        return {
            "name": name,
            "credentials": [{"accessKey": key, "secretKey": secret}],
            **may,
        }

    return {
        "identities": [
            known("service", (settings.access_key, settings.secret_key), actions=["Admin"]),
            *(known(name, tenant_keys(name), policyNames=[name]) for name in policies),
        ],
        "policies": [{"name": name, "content": policies[name]} for name in policies],
    }


def _answers(server: S3Server) -> bool:
    """The port opens seconds before the first write can succeed, so write something."""
    client = s3_client(server.settings)
    try:
        if not client.bucket_exists(bucket_name="probe"):
            client.make_bucket(bucket_name="probe")
        client.put_object(
            bucket_name="probe", object_name="probe", data=io.BytesIO(b"probe"), length=5
        )
    except (MinioException, urllib3.exceptions.HTTPError):
        return False
    return True


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test process; make your own database in it."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The S3 service of this test process; make your own bucket in it."""
    with seaweedfs(policies={"sales": project_policy()}) as server:
        yield server
