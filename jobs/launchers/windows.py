"""How the service looks into a pod and speaks to its porter (see ``jobs/launchers/pod/window``)."""

from __future__ import annotations

import json
import socket
from typing import Any

import urllib3

from jobs.launchers.api import LogPart

_CONNECT, _READ = 1.0, 3.0  # seconds
_CONNECTIONS = 64  # pods
_EACH = 4  # connections kept: its lease, what it uses, and who reads its log
_PORT_OPEN = 0.2  # seconds in which a port of the same network answers


class WindowClosedError(Exception):
    """Nobody answers: the pod does not listen yet, or no more, or cannot be reached."""


class Windows:
    """Requests to porters. Thread-safe."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            num_pools=_CONNECTIONS,
            maxsize=_EACH,
            timeout=urllib3.Timeout(connect=_CONNECT, read=_READ),
            retries=False,
        )

    def status(self, address: str, token: str) -> dict[str, Any]:
        """What the run uses now. Raises ``WindowClosedError``, as all do."""
        found: dict[str, Any] = json.loads(self._ask("GET", address, token, "/status").data)
        return found

    def log(self, address: str, token: str, *, stream: str, offset: int) -> LogPart:
        """A part of a log, a MiB at most."""
        path = f"/log?stream={stream}&offset={offset}"
        answer = self._ask("GET", address, token, path)
        return LogPart(offset=int(answer.headers["X-Offset"]), data=answer.data)

    def renew(self, address: str, token: str, *, age: float) -> None:
        """The lease counts from ``age`` seconds ago, if that is later than before."""
        self._ask("POST", address, token, "/lease", {"age": age})

    def stop(self, address: str, token: str, *, reason: str, grace: float) -> None:
        """End the run."""
        self._ask("POST", address, token, "/stop", {"reason": reason, "grace": grace})

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _ask(
        self, method: str, address: str, token: str, path: str, body: object = None
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._pool.request(
                method,
                f"http://{address}{path}",
                body=None if body is None else json.dumps(body).encode(),
                headers={"Authorization": f"Bearer {token}"},
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise WindowClosedError(str(error)) from error
        if answer.status not in {200, 204}:
            raise WindowClosedError(f"the window of {address} answers {answer.status}")
        return answer


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), timeout=_PORT_OPEN).close()
    except OSError:
        return False
    return True
