"""The servers that other tests stand on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg

from tests.support.servers import S3Server

SERVER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STARTER = f"""
import sys
from tests.support.servers import served
with served(lambda folder: [sys.executable, "-c", {SERVER!r}], lambda: True):
    print("up", flush=True)
    sys.stdin.read()
"""


def test_postgres_keeps_what_is_written(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create temporary table t (i int)")
        connection.execute("insert into t values (1)")
        assert connection.execute("select i from t").fetchall() == [(1,)]


def test_postgres_is_new_enough(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.info.server_version >= 150000


def test_s3_buckets_are_new_and_apart(s3_server: S3Server) -> None:
    client, first, second = s3_server.client(), s3_server.bucket(), s3_server.bucket()
    client.put_object(bucket_name=first, object_name="a", data=io.BytesIO(b"1"), length=1)
    assert [found.object_name for found in client.list_objects(bucket_name=first)] == ["a"]
    assert list(client.list_objects(bucket_name=second)) == []


def test_servers_die_with_a_killed_starter(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert starter.stdout is not None
    starter.stdout.readline()
    pause = threading.Event()
    while not (logs := [log for log in tmp_path.glob("*/log") if log.read_text().strip()]):
        pause.wait(0.05)
    server = int(logs[0].read_text())
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    while any(tmp_path.iterdir()):
        pause.wait(0.05)
    assert not Path(f"/proc/{server}").exists() or sys.platform != "linux"
