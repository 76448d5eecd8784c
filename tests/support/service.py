"""The real service for tests: in this process or as a child, on a free port, in its own home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from dli.processes import Role, replica
from dli.services import Services
from dli.settings.loading import load

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that runs; ``services`` only where it is in this process."""

    url: str
    token: str = field(repr=False)
    home: Path
    pid: int
    services: Services | None = None

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """An HTTP client of one caller, the administrator unless a token is given."""
        return httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {token or self.token}", **headers},
            timeout=90,
        )


@contextmanager
def in_process(home: Path, *, role: Role = Role.ALL, **settings: Any) -> Iterator[Service]:
    """The service in threads of this process: the fastest, and its parts can be looked at."""
    chosen = {"port": 0, "log_level": "WARNING", **settings}
    with replica(load(home=home, **chosen), role=role) as running:
        assert running.url is not None
        given = chosen.get("admin_token")
        yield Service(
            url=running.url,
            token=str(given) if given else (home / "token").read_text().strip(),
            home=home,
            pid=os.getpid(),
            services=running.services,
        )


@dataclass(slots=True, kw_only=True)
class Child:
    """``dli serve`` as a process of its own, which a test may kill and start again."""

    home: Path
    role: str = "all"
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Service:
        """Start it and wait until it is ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "url").unlink(missing_ok=True)
        with (self.home / "test.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, self.role],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "DLI_HOME": str(self.home),
                    "DLI_PORT": "0",
                    "DLI_LOG_FORMAT": "json",
                    **self.environment,
                },
            )
        self._await_ready()
        given = self.environment.get("DLI_ADMIN_TOKEN")
        return Service(
            url=(self.home / "url").read_text().strip() if self.role != "worker" else "",
            token=given or (self.home / "token").read_text().strip(),
            home=self.home,
            pid=self.process.pid,
        )

    def kill(self) -> None:
        """``kill -9``, as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def log(self) -> str:
        """Everything that it has said."""
        return (self.home / "test.log").read_text(errors="replace")

    def _await_ready(self) -> None:
        pause = threading.Event()
        for _ in range(int(START_SECONDS / 0.05)):
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended at its start:\n{self.log()[-4000:]}")
            if self._ready():
                return
            pause.wait(0.05)
        raise RuntimeError(f"the service did not start:\n{self.log()[-4000:]}")

    def _ready(self) -> bool:
        if self.role == "worker":
            return '"event": "started"' in self.log()
        path = self.home / "url"
        if not path.is_file():
            return False
        try:
            return httpx.get(f"{path.read_text().strip()}/readyz").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def child(home: Path, *, role: str = "all", **environment: str) -> Iterator[Child]:
    """A child to ``start``; nothing of it is left after the block."""
    made = Child(home=home, role=role, environment=environment)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.send_signal(signal.SIGKILL)
            made.process.wait()


_MAIN = """
import sys
from dli.processes import run
from dli.settings.loading import load
sys.exit(run(load(), roles=sys.argv[1]))
"""
