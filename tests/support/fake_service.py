"""A service on loopback that answers what a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer: JSON, or bytes as they are."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeService:
    """Answers each ``METHOD /path`` (without its query) by its replies in turn, then the last."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self._replies: dict[str, deque[Reply]] = {}

    def on(self, call: str, *replies: Reply) -> None:
        """Answer ``GET /api/v1/queues`` with these, one after the other."""
        self._replies[call] = deque(replies)

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        replies = self._replies.get(f"{asked.method} {asked.path.partition('?')[0]}")
        if not replies:
            body = {"code": "not_found", "detail": f"no reply for {asked.method} {asked.path}"}
            return Reply(status=404, body=body)
        return replies.popleft() if len(replies) > 1 else replies[0]


def _read(content: bytes, kind: str) -> Any:
    """JSON that is said to be some; an uploaded file is bytes."""
    if kind != "application/json":
        return content or None
    return json.loads(content)


@contextmanager
def fake_service() -> Iterator[FakeService]:
    """A ``FakeService`` that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(size)
            asked = Asked(
                method=self.command,
                path=self.path,
                headers=dict(self.headers.items()),
                body=_read(content, self.headers.get("Content-Type", "")),
            )
            reply = service.reply(asked)
            raw = isinstance(reply.body, bytes)
            data = reply.body if raw else json.dumps(reply.body).encode()
            assert isinstance(data, bytes)
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(data)))
            if not raw:
                self.send_header("Content-Type", "application/json")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = FakeService(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
