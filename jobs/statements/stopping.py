"""Making an engine let go of a statement, and seeing that it did.

Telling the engine (interrupt) is a request that it may not hear: it is repeated, since the first
may come before the statement reached the engine. What counts is that the statement's stream has
ended and the engine answers; where the statement was alone on it, also that its CPU is quiet, or
that the engine knows of no work: a young JVM compiles for seconds. An engine that does not let go
in time is killed: its other statements are tried again elsewhere.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta

from jobs.engines.pool import EngineHandle
from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.launchers.api import Launcher
from storage.base.clock import Clock
from storage.base.errors import ServiceError

log = logging.getLogger(__name__)

_AGAIN = timedelta(milliseconds=250)
_PROBE = 2.0  # seconds, for an answer of the engine
_PROBE_SHARED = 10.0  # seconds; it dies for its silence, and the work of others would be lost
_DEAD_WITHIN = 10.0  # seconds
_SAMPLE = timedelta(milliseconds=100)
_QUIET_CORES = 0.1  # an engine without statements uses 0.01; a busy one, on a busy machine, 0.4
_QUIET_FOR = timedelta(milliseconds=300)  # the kernel counts in steps of 10 ms
_QUIET_WITHIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """What ``Workers`` calls on a thread of its own when a statement must end."""

    parts: Parts

    def stop_work(self, execution: Execution) -> None:
        """Interrupt until the engine let go, or kill it when the grace is over."""
        clock = self.parts.clock
        until = clock.monotonic() + self.parts.settings.interrupt_grace.total_seconds()
        while clock.monotonic() < until:
            interrupt = execution.interrupt
            if interrupt is not None:
                try:
                    interrupt()
                except ServiceError as error:
                    log.info(
                        "interrupt failed",
                        extra={"job": execution.job.id, "code": error.code},
                    )
            if clock.wait(execution.let_go, _AGAIN):
                return
        condemn = execution.condemn
        if condemn is not None:
            log.warning("engine does not let go", extra={"job": execution.job.id})
            try:
                condemn("it did not let go of a statement")
            except ServiceError as error:  # of a cluster that does not answer: leases end it
                log.warning("not condemned", extra={"reason": error.message})


def has_let_go(handle: EngineHandle, launcher: Launcher, clock: Clock, *, alone: bool) -> bool:
    """Whether the engine answers and, if the statement was ``alone`` on it, does nothing now."""
    if not handle.client.alive(_PROBE if alone else _PROBE_SHARED):
        return False
    if not alone:
        return True
    handle.client.end_warm_up()  # which would look like the statement's work
    return _grows_quiet(handle, launcher, clock) or handle.client.idle()


def wait_until_dead(handle: EngineHandle, launcher: Launcher, clock: Clock) -> None:
    """Return when nothing of a condemned engine is left; who condemned it may be stopping it."""
    never = threading.Event()
    until = clock.monotonic() + _DEAD_WITHIN
    while not launcher.status(handle.run_id).state.ended and clock.monotonic() < until:
        clock.wait(never, _SAMPLE)


def _grows_quiet(handle: EngineHandle, launcher: Launcher, clock: Clock) -> bool:
    never = threading.Event()
    until = clock.monotonic() + _QUIET_WITHIN.total_seconds()
    while True:
        began, used = clock.monotonic(), launcher.status(handle.run_id).cpu_seconds
        clock.wait(never, _QUIET_FOR)
        span = clock.monotonic() - began
        if launcher.status(handle.run_id).cpu_seconds - used <= _QUIET_CORES * span:
            return True
        if clock.monotonic() >= until:
            return False
