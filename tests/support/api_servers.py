"""API servers of Kubernetes on loopback that say what a test wants, and launchers that ask them."""

from __future__ import annotations

import http.server
import json
import queue
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.launchers.api import RunSpec
from jobs.launchers.cluster import Cluster
from jobs.launchers.identity import moment
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.pods import INSTALLATION, LEASE, MANAGED, RUN, ClusterSettings, PodSettings
from storage.base.clock import SystemClock
from storage.base.ids import RunId
from storage.objects.api import LinkingStore
from storage.objects.buckets import S3Settings
from storage.objects.s3 import S3Store
from tests.support.proxies import Gate

Event = tuple[str, dict[str, Any]]
END = None  #: of a watch
CUT = {"/api/v1/cut": 200, "/api/v1/cut-refusal": 500}  #: answers that break off, with their status
CONTENDED = (
    'Operation cannot be fulfilled on resourcequotas "runs": the object has been modified; please '
    "apply your changes to the latest version and try again"
)
STORE = S3Settings(
    endpoint="127.0.0.1:9", region="here", access_key="a", secret_key="b" * 8, secure=False
)  #: that nobody keeps


def pod(name: str, version: int, phase: str = "Pending") -> dict[str, Any]:
    """The least that a list says of one."""
    return {
        "metadata": {
            "name": name, "uid": name, "resourceVersion": str(version), "labels": {},
            "creationTimestamp": "2026-11-29T06:00:00Z",
        },
        "spec": {}, "status": {"phase": phase},
    }  # fmt: skip


def living(name: str) -> dict[str, Any]:
    """A pod whose lease of 20 seconds was over long ago, if nobody renewed it."""
    made = pod(f"run-{name}-1", 3)
    made["metadata"]["annotations"] = {LEASE: "20"}
    made["metadata"]["labels"] = {MANAGED: "dli", INSTALLATION: "dli", RUN: f"run_{name}_1"}
    return made


class ApiServer(http.server.ThreadingHTTPServer):
    """Lists what it is told to, sends events as they are put, and takes what it is sent.

    It may be silent about a pod, slow, or cut off by its gate.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.version = 10
        self.pages: list[list[dict[str, Any]]] = [[]]
        self.events: queue.Queue[Event | None] = queue.Queue()
        self.asked: list[dict[str, str]] = []  # of watches
        self.lists = 0
        self.silent = False
        self.slow = threading.Event()  # not set: what is changed has to wait
        self.slow.set()
        self.contended = 0  # pods that find another at the quota
        self.secrets: list[str] = []
        self.hidden: set[str] = set()  # pods that are there, and that no list has
        self.deleted: list[str] = []
        self.log = b""  # of every container
        self.gate = Gate(("127.0.0.1", self.server_port))

    def tell(self, kind: str, told: dict[str, Any]) -> None:
        """An event to whoever watches."""
        self.events.put((kind, told))


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/api/v1/refused":
            self._answer(403, {"message": "pods is forbidden"})
        elif parts.path in CUT:
            self.close_connection = True
            self.send_response(CUT[parts.path])
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b'{"items": [')
        elif parts.path == "/api/v1/page":
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")
        elif parts.path.endswith("/secrets"):
            self._answer(200, {"items": [pod(name, 1) for name in self.server.secrets]})
        elif parts.path.endswith("/log"):
            most = int(query.get("limitBytes", len(self.server.log)))
            self._send(200, self.server.log[:most])
        elif "/pods/" in parts.path:
            there = parts.path.rpartition("/")[2] in self.server.hidden
            self._answer(200 if there else 404, {"message": "not found"})
        elif "watch" in query:
            self.server.asked.append(query)
            self._watch()
        else:
            self._list(int(query.get("continue", "0")))

    def do_POST(self) -> None:
        body = json.loads(self._read())
        if self.path.endswith("/pods") and self.server.contended:
            self.server.contended -= 1
            self._answer(409, {"message": CONTENDED})
            return
        if self.path.endswith("/pods") and self.server.silent:
            self.close_connection = True
            return
        body["metadata"] |= {"uid": "u", "creationTimestamp": "2026-11-29T06:00:00Z"}
        self._answer(201, body)

    def do_PATCH(self) -> None:
        self._read()
        self.server.slow.wait()
        self._answer(200, {})

    def do_DELETE(self) -> None:
        self._read()
        self.server.deleted.append(self.path.rpartition("/")[2])
        self._answer(200, {})

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _list(self, page: int) -> None:
        self.server.lists += page == 0
        more = str(page + 1) if page + 1 < len(self.server.pages) else ""
        metadata = {"resourceVersion": str(self.server.version), "continue": more}
        self._answer(200, {"metadata": metadata, "items": self.server.pages[page]})

    def _watch(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (event := self.server.events.get()) is not END:
            line = json.dumps({"type": event[0], "object": event[1]}).encode() + b"\n"
            for part in (line[:7], line[7:]):  # no reader may count on whole lines
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        self._send(code, json.dumps(body).encode())

    def _send(self, code: int, data: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """One that answers during the block."""
    with ApiServer() as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.slow.set()
        made.gate.shut()
        made.events.put(END)
        made.shutdown()


def cluster_at(port: int, folder: Path) -> Cluster:
    """The namespace ``runs`` of the server there, by a kubeconfig in ``folder``."""
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }  # fmt: skip
    (folder / "config").write_text(json.dumps(config))
    return Cluster(ClusterSettings(kubeconfig=folder / "config", namespace="runs"))


@contextmanager
def launcher_of(
    api: ApiServer, folder: Path, *, store: LinkingStore | None = None
) -> Iterator[KubernetesLauncher]:
    """A launcher that reaches the server through its gate, and has its first list."""
    made = KubernetesLauncher(
        cluster_at(api.gate.port, folder),
        PodSettings(installation="dli", namespace="runs", image="i"),
        root=folder / "runs",
        store=store or S3Store("bucket", "", STORE),
        clock=SystemClock(),
        owner="one",
    )
    list(made.known())  # when the first list is there
    yield made
    made.close()


def leased(launcher: KubernetesLauncher, name: str, *, ago: float = 0.0) -> RunSpec:
    """A run with a lease of 20 seconds, of which so many have gone."""
    run_id = RunId(f"run_{name}_1")
    return RunSpec(
        run_id=run_id,
        command=("/bin/true",),
        directory=launcher.directory(run_id),
        merged=False,
        lease=timedelta(seconds=20),
        renewed_at=moment() - ago,
    )
