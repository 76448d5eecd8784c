"""Records which classes Spark loads on Kubernetes, so that later JVMs map them instead (AppCDS).

    record.py FOLDER

Runs inside the image while it is built. A real driver (Spark Connect with Spark's own Kubernetes
scheduler) and a real executor work through a script of statements over S3 files; what is not there
in a build, an API server and an object store, is played by ``Service`` as far as the two ask.
Afterwards FOLDER has the archives, and the argument files that the image's entry point starts
drivers and executors with. Flags and class path come from ``jobs.engines.java``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from jobs.engines import java
from jobs.engines.class_archive import ClassArchive

DUMP_SECONDS = 900  # an archive takes half a minute, on a busy machine minutes
START_SECONDS = 300
PORT = 15002
STATEMENTS = (
    "SELECT 1",
    "CREATE OR REPLACE TEMP VIEW t AS SELECT id, CAST(id % 7 AS int) k, id v, id / 8 d, "
    "concat('text ', id) s, timestamp_seconds(id * 1000) t, date_add(DATE'2020-01-01', "
    "CAST(id AS int)) day FROM range(100)",
    "INSERT OVERWRITE DIRECTORY 's3a://warm/t' USING parquet SELECT * FROM t",
    "CREATE OR REPLACE TEMP VIEW f USING parquet OPTIONS (path 's3a://warm/t')",
    "SELECT k, count(*), sum(v), avg(d), max(t) FROM f WHERE v > 10 GROUP BY k ORDER BY k",
    "SELECT a.k, b.s FROM f a JOIN f b ON a.id = b.id WHERE a.day >= DATE'2020-02-01' LIMIT 10",
    "SELECT /*+ MERGE(b) */ a.k, b.s FROM f a LEFT JOIN f b ON a.id = b.v ORDER BY 1, 2",
    "SELECT k, row_number() OVER (PARTITION BY k ORDER BY v DESC) FROM f LIMIT 5",
    "SELECT DISTINCT upper(s), CAST(d AS decimal(12,2)) * 2, CASE WHEN v > 1 THEN 'a' END FROM f",
    "SELECT k, count(DISTINCT s) FROM f WHERE s LIKE '%1%' AND k IN (SELECT k FROM t) GROUP BY k",
    "EXPLAIN SELECT count(DISTINCT k) FROM f",
    "INSERT OVERWRITE DIRECTORY 's3a://warm/c' USING csv SELECT id, s FROM f",
    "SELECT * FROM csv.`s3a://warm/c`",
)


class Service(BaseHTTPRequestHandler):
    """An object store for one client, and the few resources of Kubernetes that a driver touches."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes] = {}
    pods: dict[str, dict[str, Any]] = {}
    executors: list[subprocess.Popen[bytes]] = []
    flags: dict[str, str] = {}

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        if parts.path.startswith("/api"):
            self._get_resource(parts.path)
        elif "list-type" in query:
            self._list(parts.path.strip("/").partition("/")[0], query.get("prefix", ""))
        else:
            self._object(urllib.parse.unquote(parts.path))

    do_HEAD = do_GET  # noqa: N815  the name that the library asks for

    def do_PUT(self) -> None:
        body = self._body()
        if self.path.startswith("/api"):
            self._answer(200, body, "application/json")
            return
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        source = self.headers.get("x-amz-copy-source")
        if source is None:
            self.objects[path] = body
            self._answer(200, headers={"ETag": '"1"'})
            return
        self.objects[path] = self.objects["/" + urllib.parse.unquote(source).lstrip("/")]
        text = (
            '<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>&quot;1&quot;'
            "</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></CopyObjectResult>"
        )
        self._answer(200, text.encode(), "application/xml")

    def do_POST(self) -> None:
        body = self._body()
        if not self.path.startswith("/api"):  # ?delete
            text = '<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'
            self._answer(200, text.encode(), "application/xml")
            return
        resource = json.loads(body)
        resource["metadata"] |= {"uid": str(uuid.uuid4()), "resourceVersion": "1"}
        if resource["kind"] == "Pod":
            resource["status"] = {"phase": "Running", "containerStatuses": []}
            self.pods[resource["metadata"]["name"]] = resource
            self._execute(resource)
        self._answer(201, json.dumps(resource).encode(), "application/json")

    def do_PATCH(self) -> None:
        self._answer(200, self._body(), "application/json")

    def do_DELETE(self) -> None:
        self._body()
        if self.path.startswith("/api"):
            self._answer(200, b'{"kind":"Status","status":"Success"}', "application/json")
            return
        self.objects.pop(urllib.parse.unquote(urllib.parse.urlsplit(self.path).path), None)
        self._answer(204)

    def _get_resource(self, path: str) -> None:
        if "Upgrade" in self.headers:  # a watch, by WebSocket: nothing ever happens
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)  # RFC 6455, section 4.2.2
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
            self.end_headers()
            self.close_connection = True
            threading.Event().wait(DUMP_SECONDS)
            return
        kind, items = ("PodList", list(self.pods.values())) if "/pods" in path else ("List", [])
        answer = {"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": "2"}}
        self._answer(200, json.dumps(answer | {"items": items}).encode(), "application/json")

    def _execute(self, pod: dict[str, Any]) -> None:
        """Start what the pod says as a process of this container."""
        [container] = pod["spec"]["containers"]
        environment = {each["name"]: each.get("value", "127.0.0.1") for each in container["env"]}
        environment["SPARK_EXECUTOR_POD_NAME"] = pod["metadata"]["name"]
        environment["SPARK_LOCAL_DIRS"] = "/tmp"
        command = ["/opt/entrypoint", *container["args"]]
        process = subprocess.Popen(command, env={**os.environ, **environment})
        self.executors.append(process)

    def _list(self, bucket: str, prefix: str) -> None:
        found = [path.removeprefix(f"/{bucket}/") for path in sorted(self.objects)]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z"
            f"</LastModified><ETag>&quot;1&quot;</ETag><Size>"
            f"{len(self.objects[f'/{bucket}/{key}'])}</Size></Contents>"
            for key in found
            if key.startswith(prefix)
        )
        text = (
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>"
            f"{entries.count('<Key>')}</KeyCount><MaxKeys>1000</MaxKeys>"
            f"<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        )
        self._answer(200, text.encode(), "application/xml")

    def _object(self, path: str) -> None:
        content = self.objects.get(path)
        if content is None:
            text = b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
            self._answer(404, text, "application/xml")
            return
        headers = {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        span = self.headers.get("Range")
        if span is None:
            self._answer(200, content, headers=headers)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(content) - int(last)
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._answer(206, content[start:stop], headers=headers)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(iter(lambda: self._chunk(self.rfile), b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "x-amz-decoded-content-length" not in self.headers:
            return body
        plain, rest = b"", body
        while rest:
            head, _, rest = rest.partition(b"\r\n")
            size = int(head.partition(b";")[0], 16)
            if not size:
                break
            plain, rest = plain + rest[:size], rest[size + 2 :]
        return plain

    @staticmethod
    def _chunk(file: Any) -> bytes:
        size = int(file.readline().partition(b";")[0], 16)
        data: bytes = file.read(size)
        file.readline()
        return data

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        kind: str = "application/octet-stream",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main(folder: Path) -> None:
    """Record, then write the argument files that use what was recorded."""
    folder.mkdir(parents=True, exist_ok=True)
    logging = folder / "log4j2.properties"
    shutil.copy(Path(java.__file__).with_name(logging.name), logging)
    runtime, jars = java.find_java(Path("/opt/java")), java.spark_jars()
    archive = ClassArchive(folder, runtime, jars)
    archive.prepare()
    path = ":".join(map(str, jars))
    (folder / "class.path").write_text(path)
    drafts = {"driver": folder / "driver.draft", "executor": folder / "executor.draft"}

    def arguments(role: str, archived: tuple[str, ...]) -> None:
        lines = ("-cp", path, *archived, *java.FLAGS, f"-Dlog4j2.configurationFile=file:{logging}")
        (folder / f"{role}.args").write_text("\n".join((*lines, "")))

    for role, draft in drafts.items():
        arguments(role, (*archive.recording(draft), "-Xlog:disable"))
    run()
    top = folder / "executor.jsa"
    drafts["executor"].rename(top)
    archive.keep(drafts["driver"])
    arguments("driver", archive.flags())
    base, _, _ = archive.flags()[0].rpartition(":")
    arguments("executor", (f"{base}:{top}", "-Xshare:auto"))
    for each in folder.iterdir():
        print(each.name, each.stat().st_size >> 10, "KiB")


def run() -> None:
    """A driver and an executor work through all statements, end, and write their archives."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    confs = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(PORT),
        "spark.driver.host": "127.0.0.1",
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.executorIdleTimeout": "1h",
        "spark.dynamicAllocation.maxExecutors": "1",
        "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.executor.memory": "1g",
        "spark.hadoop.fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials"
        ".EnvironmentVariableCredentialsProvider",
        "spark.hadoop.fs.s3a.endpoint": url,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.kubernetes.container.image": "none",
        "spark.kubernetes.executor.apiPollingInterval": "2s",
        "spark.network.timeout": "1h",  # however busy the machine is that builds
        "spark.sql.catalogImplementation": "in-memory",
        "spark.ui.enabled": "true",
    }
    credentials = {"AWS_ACCESS_KEY_ID": "warm", "AWS_SECRET_ACCESS_KEY": "warm-up-only"}
    options = [f"--conf={key}={value}" for key, value in confs.items()]
    driver = subprocess.Popen(
        ["/opt/entrypoint", "spark-submit", *options, "--master", f"k8s://{url}", "--class",
         "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"],
        env={**os.environ, **credentials, "SPARK_LOCAL_IP": "127.0.0.1"},
    )  # fmt: skip
    os.environ.update(credentials)  # the executor's
    try:
        work(driver)
    except BaseException:
        for process in (driver, *Service.executors):
            process.kill()
        raise
    driver.send_signal(signal.SIGTERM)
    for process in (driver, *Service.executors):
        process.wait(DUMP_SECONDS)


def work(driver: subprocess.Popen[bytes]) -> None:
    """Run the statements. Raises what they raise: a script that fails records too little."""
    from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415  slow, and only here

    end = time.monotonic() + START_SECONDS
    while not _listens():
        if driver.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the driver does not start; exit code {driver.poll()}")
        threading.Event().wait(0.2)
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{PORT}").create()
    for text in STATEMENTS:
        rows = session.sql(text).toArrow()
        print(f"{rows.num_rows:5} rows: {text[:70]}", flush=True)
    session.stop()


def _listens() -> bool:
    try:
        socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
