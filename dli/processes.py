"""A replica as a process: what it starts, in which order, and how it ends.

Order of the start: home, socket, database, loops, requests. Order of the end: no new work, wait for
what runs, answer those who wait, stop. Whatever is left over is taken by another replica, or by the
next start, so that a second signal may cut the waiting short.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from enum import StrEnum
from types import FrameType

from starlette.types import ASGIApp

from dli.api.early import EarlyApp
from dli.api.probes import create_probes
from dli.home import ADDRESS, TOKEN, administrator_secret, locked_home, write_private
from dli.identity.identity import ensure_administrator
from dli.migrations.current import ensure_schema
from dli.observability.logs import configure_logs
from dli.observability.wanted import tracing_wanted
from dli.projects import furnish
from dli.server import HttpServer, listening_socket
from dli.services import Services
from dli.settings.loading import Settings
from dli.wiring.build import build
from jobs.engines.connect.late import CLIENT
from jobs.loops.runner import Loop
from storage.base.errors import ServiceError

log = logging.getLogger(__name__)

_LOOPS_END = timedelta(seconds=10)


class Role(StrEnum):
    """What a replica does: answer requests, run statements, or both."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


def run(settings: Settings, *, roles: str = Role.ALL) -> int:
    """Serve until SIGTERM or SIGINT; the exit code, 1 when it cannot start.

    The one who started it is told on stdout where it listens, and on stderr why it cannot.
    """
    configure_logs(level=settings.log_level, form=settings.log_format)
    gc.freeze()  # code and definitions, which live as long as we do
    gc.set_threshold(20_000, 20, 50)  # the usual 700 walk the young objects for every statement
    gc.enable()
    stop = threading.Event()
    try:
        with _signals(stop), replica(settings, role=Role(roles)) as running:
            _greet(settings, running)
            while not (stop.wait(0.5) or running.lost):
                pass
            log.info("stopping", extra={"grace": settings.grace.total_seconds()})
            stop.clear()  # a second signal ends the waiting
            running.drain(settings.grace, hurry=stop)
            return 1 if running.lost else 0
    except ServiceError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        sys.stderr.write(f"dli cannot start: {error.message}{hint}\n")
        return 1


class Replica:
    """A running replica."""

    def __init__(
        self, services: Services, server: HttpServer | None, app: EarlyApp | None, *, role: Role
    ) -> None:
        self.services = services
        self.server = server
        self.role = role
        self._app = app

    @property
    def url(self) -> str | None:
        """Where it answers: a worker its probes only, or nothing at all (None)."""
        return None if self.server is None else self.server.url

    @property
    def lost(self) -> bool:
        """Whether the server ended although nobody asked it to, or cannot answer."""
        ended = self.server is not None and self.server.ended.is_set()
        return ended or (self._app is not None and self._app.broken)

    def drain(self, grace: timedelta, *, hurry: threading.Event) -> None:
        """Take no more statements and wait for those that run, at most ``grace``."""
        self.services.stopping.set()
        done = threading.Event()

        def wait() -> None:
            self.services.jobs.drain(grace)
            done.set()

        threading.Thread(target=wait, name="drain", daemon=True).start()
        while not (done.wait(0.1) or hurry.is_set()):
            pass
        self.services.closing.set()


@contextmanager
def replica(settings: Settings, *, role: Role = Role.ALL) -> Iterator[Replica]:
    """A replica that runs within the block; leaving it stops everything at once.

    ``run`` drains it before. Raises ``ServiceError`` when it cannot start.
    """
    with ExitStack() as stack:
        home = stack.enter_context(locked_home(settings.folder))
        bound = None
        port = settings.worker_port if role is Role.WORKER else settings.port
        if port is not None:
            bound = stack.enter_context(contextlib.closing(listening_socket(settings.host, port)))
        services = stack.enter_context(build(settings, works=role is not Role.API))
        ensure_schema(services.database, migrate=settings.migrate)
        given = settings.admin_token
        secret = given.get_secret_value() if given else administrator_secret(home)
        ensure_administrator(services.database, secret=secret, at=services.clock.now())
        furnish(services)
        services.pool.recover()
        services.jobs.recover()
        stack.enter_context(_loops(services))
        server = app = None
        if bound is not None:
            app = None if role is Role.WORKER else EarlyApp(services)
            served: ASGIApp = app or create_probes(services)
            if app is not None and tracing_wanted():
                tracing = importlib.import_module("dli.observability.tracing")
                served, end_tracing = tracing.traced(app)
                stack.callback(end_tracing)
            server = HttpServer(served, bound)
            server.start()
            stack.callback(server.stop)
            if app is not None:
                write_private(home / ADDRESS, server.url + "\n")
        threading.Thread(target=_load_the_rest, args=(role, app), name="late", daemon=True).start()
        services.metrics.up.set(1)
        stack.callback(services.closing.set)
        yield Replica(services, server, app, role=role)


def _load_the_rest(role: Role, app: EarlyApp | None) -> None:
    """Load what no start has to wait for, beside the first requests."""
    try:
        if role is not Role.API:
            importlib.import_module(CLIENT)
    finally:
        if app is not None:
            app.load()


@contextmanager
def _loops(services: Services) -> Iterator[None]:
    """Run the background work of the replica, each loop in a thread."""
    stop = threading.Event()
    loops: tuple[Loop, ...] = services.loops
    threads = [
        threading.Thread(target=loop.run, args=(stop,), name=loop.name, daemon=True)
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for loop in loops:
            loop.wake.set()
        for thread in threads:
            thread.join(_LOOPS_END.total_seconds())
            if thread.is_alive():
                log.error("a loop did not stop", extra={"loop": thread.name})


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` on SIGTERM and SIGINT, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _greet(settings: Settings, running: Replica) -> None:
    token = "DLI_ADMIN_TOKEN" if settings.admin_token else str(settings.folder / TOKEN)
    log.info("started", extra={"url": running.url, "pid": os.getpid()})
    if running.role is not Role.WORKER:
        sys.stdout.write(f"dli is ready at {running.url}\nadmin token: {token}\n")
        sys.stdout.flush()
