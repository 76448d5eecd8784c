"""A real service as a child process: ``dli up`` with a home and a port of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from dli.client import Client
from dli.remote.problems import ApiError, RemoteError

DLI = Path(sys.executable).parent / "dli"


class ServiceDiedError(Exception):
    """The service ended although nobody told it to; the message holds the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that runs. ``started`` is a moment of ``time.monotonic``."""

    process: subprocess.Popen[bytes]
    url: str
    home: Path
    log: Path
    started: float

    @property
    def token(self) -> str:
        return (self.home / "token").read_text(encoding="utf-8").strip()

    def client(self) -> Client:
        """A client with the token of the first user."""
        return Client(self.url, self.token)

    def environment(self) -> dict[str, str]:
        """What a ``dli`` of the same user needs to find it."""
        return {**os.environ, "DLI_HOME": str(self.home), "DLI_URL": self.url,
                "DLI_TOKEN": self.token, "DLI_CONFIG": str(self.home / "no-config")}  # fmt: skip

    def await_ready(self, seconds: float = 60) -> None:
        """Wait until it answers that it is ready; raises ``ServiceDiedError``."""
        with Client(self.url, patient=False, timeout=2) as client:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                if self.process.poll() is not None:
                    break
                try:
                    client.health()
                except RemoteError:
                    pause(0.02)
                else:
                    return
        tail = self.log.read_text(errors="replace")[-4000:]
        raise ServiceDiedError(f"not ready (exit code {self.process.poll()}):\n{tail}")

    def stop(self, seconds: float = 60) -> int:
        """Ask it to end, as Ctrl-C does, and wait; its exit code. Twice is as good as once."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """``kill -9`` of the service alone; what it started lives on."""
        self.process.kill()
        self.process.wait()

    def children(self) -> list[psutil.Process]:
        """Every process that descends from it, now."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def start_service(
    home: Path,
    *,
    allow: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    command: Sequence[str] = ("up",),
) -> Service:
    """Start a service and do not wait for it. Its log is ``service.log`` beside the home."""
    port = port or free_port()
    log = home.parent / f"{home.name}.log"
    arguments = [*command, "--port", str(port)]
    for folder in allow:
        arguments += ["--allow-path", str(folder)]
    started = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [DLI, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {}), "DLI_HOME": str(home)},
            # Not in our group: a Ctrl-C is for us, and we stop it ourselves.
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    return Service(process=process, url=url, home=home, log=log, started=started)


@contextmanager
def running_service(
    home: Path,
    *,
    allow: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """A ready service that is stopped at the end of the block, whatever happens in it."""
    service = start_service(home, allow=allow, environment=environment)
    started: list[psutil.Process] = []
    try:
        service.await_ready()
        yield service
    finally:
        started = service.children()
        try:
            service.stop()
        finally:
            end_all(started)


def end_all(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Kill those that still live; which they were."""
    alive = [process for process in processes if process.is_running()]
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=10)
    return alive


def register_tpch(client: Client, folder: Path, tables: Sequence[str]) -> None:
    """A database ``tpch`` over the files in a folder; what is there already stays."""
    try:
        client.create_database("tpch")
    except ApiError as error:
        if error.status != 409:
            raise
    for table in tables:
        client.register_table(f"tpch.{table}", str(folder / f"{table}.parquet"))


def free_port() -> int:
    """A port of loopback that nobody had a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def pause(seconds: float) -> None:
    """Wait, interruptibly."""
    threading.Event().wait(seconds)
