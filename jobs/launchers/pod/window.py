"""What a pod answers to its service: how the run is, what it wrote; and what it is told to do.

HTTP with a token that only the run's secret and its service have. Only the standard library, as in
``porter``, whose thread this is. Requests::

    GET  /status                       usage up to now, as JSON
    GET  /log?stream=output&offset=0   bytes; the header X-Offset says where they begin
    POST /lease  {"age": 0.1}          the lease counts from so many seconds ago
    POST /stop   {"reason": …, "grace": 2.0}
"""

from __future__ import annotations

import hmac
import http.server
import json
import os
import signal
import sys
import urllib.parse
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import facts  # type: ignore[import-not-found]
import processes  # type: ignore[import-not-found]
from identity import moment  # type: ignore[import-not-found]
from segments import PART, read_log, read_start  # type: ignore[import-not-found]

_LONGEST = 4096  # bytes of a request's body
_STREAMS = frozenset({"output", "stdout", "stderr"})


def serve(home: str, options: dict[str, Any]) -> None:
    """Answer until the process ends."""
    handler = type("Handler", (_Handler,), {"home": home, "token": options["token"]})
    server = _Server((options.get("host", ""), options["port"]), handler)
    server.daemon_threads = True
    server.serve_forever()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Nothing: who asked went away, and standard error is the run's."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "dli"
    sys_version = ""
    timeout = 60.0
    home: str
    token: str

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        given = urllib.parse.parse_qs(query)
        if not self._may():
            return
        if path == "/status":
            self._answer(200, json.dumps(_status(self.home)).encode())
        elif path == "/log":
            self._log(given)
        else:
            self._answer(404)

    def do_POST(self) -> None:
        if not self._may():
            return
        try:
            given = json.loads(self._body())
            if self.path == "/lease":
                _renew(self.home, float(given["age"]))
            elif self.path == "/stop":
                _stop(self.home, str(given["reason"]), float(given["grace"]))
            else:
                self._answer(404)
                return
        except (ValueError, KeyError, TypeError):
            self._answer(400)
            return
        self._answer(204)

    def log_message(self, *_: Any) -> None:
        """Nothing: standard error is the run's."""

    def _may(self) -> bool:
        given = self.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return True
        self._body()
        self._answer(401, headers={"Connection": "close"})
        return False

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        return self.rfile.read(min(int(length), _LONGEST)) if length.isdigit() else b""

    def _log(self, given: dict[str, list[str]]) -> None:
        stream = given.get("stream", ["output"])[0]
        offset = given.get("offset", ["0"])[0]
        if stream not in _STREAMS or not offset.isdigit():
            self._answer(400)
            return
        begin, data = _read(self.home, stream, int(offset))
        self._answer(200, data[:PART], {"X-Offset": str(begin)})

    def _answer(self, code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _status(home: str) -> dict[str, Any]:
    """As a local launcher measures a run: all that is below its warden, which is this process."""
    exited = facts.read(home, "exited.json")
    if exited is not None:
        return {"state": "exited", **exited}
    started = facts.read(home, "started.json")
    if started is None:
        return {"state": "starting"}
    beat = facts.read(home, "beat.json") or {"peak": 0}
    found, warden = processes.tree(os.getpid()), processes.look(os.getpid())
    rss = sum(each.rss for each in found)
    spent = sum(each.cpu + each.reaped for each in found)
    return {
        "state": "running",
        "pid": started["pid"],
        "rss": rss,
        "peak": max(rss, beat["peak"]),
        "cpu": spent + (warden.reaped if warden is not None else 0.0),
        "elapsed": max(moment() - started["began"], 0.0),
    }


def _read(home: str, stream: str, offset: int) -> tuple[int, bytes]:
    """A log, or the beginning of the file that is the standard output."""
    order = facts.read(home, "order.json") or {"merged": True, "stdout": None}
    if stream == "stdout" and order["stdout"] is not None:
        begin, data = read_start(order["stdout"], offset)
        return begin, data
    begin, data = read_log(home, "output" if order["merged"] else stream, offset)
    return begin, data


def _renew(home: str, age: float) -> None:
    at = moment() - max(age, 0.0)
    before = facts.touched(home, "lease")
    if before is None or before < at:
        facts.touch(home, "lease", at)


def _stop(home: str, reason: str, grace: float) -> None:
    """The first reason stays; a second call can only hasten the end."""
    kill_at = moment() + max(grace, 0.0)
    before = facts.read(home, "stop") or {"reason": reason, "kill_at": kill_at}
    stop = {"reason": before["reason"], "kill_at": min(before["kill_at"], kill_at)}
    facts.write(home, "stop", stop)
    os.kill(os.getpid(), signal.SIGTERM)  # so that the warden looks at once
