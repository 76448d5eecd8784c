"""One attempt of a batch or a task: a run of the launcher, from its intent to its exit facts.

The run's row is written before it is launched, and its name follows from the job and the attempt,
so that whoever continues after a crash finds the run instead of starting a second one. A run goes
on when its service ends, for as long as its lease: the next life of the service adopts it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from jobs.crash import crash_point
from jobs.engines.obstacles import ObstacleKeeper
from jobs.execution.execution import AttemptLostError, CancellingError, Execution
from jobs.execution.parts import Parts
from jobs.launchers.api import (
    Capacity,
    LaunchRefusedError,
    PodOptions,
    RunSpec,
    RunState,
    RunStatus,
)
from jobs.launchers.problems import GATED, Again
from jobs.lifecycle.events import EngineReady
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import cu_millis, run_id_of
from jobs.lifecycle.states import JobState
from jobs.runs.logs import LogKeeper
from jobs.runs.problems import lost, not_started
from jobs.store import run_rows
from jobs.usage import COMPUTE_CU_MILLIS
from storage.base.errors import UnavailableError
from storage.base.ids import RunId
from storage.meta.database import Tx

log = logging.getLogger(__name__)

_FIRST_LOOKS = (0.01, 0.02, 0.05, 0.1, 0.1, 0.2)  # seconds; a short task waits for few of them
_LATER = 0.5
_KEEP_AGAIN = timedelta(seconds=1)
_STOP_AGAIN = timedelta(seconds=1)
_RUN_DIES = timedelta(seconds=10)  # after its lease, at most


class DetachedError(AttemptLostError):
    """The service ends and leaves the run to its next life; nothing of the job changes."""

    code = "attempt_detached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has ended by itself. ``directory`` is removed after the block that got this."""

    run_id: RunId
    status: RunStatus
    directory: Path


@contextmanager
def process(
    parts: Parts,
    execution: Execution,
    plan: Callable[[RunId, Path], RunSpec],
    *,
    engine: str | None = None,
    grace: timedelta = timedelta(seconds=10),
    used: Callable[[Job, RunStatus], int] | None = None,
) -> Iterator[Ended]:
    """Launch the attempt's run, or adopt it, and wait for its end; what it wrote is kept.

    ``used`` tells the CU-milliseconds of an ended run; by default its reservation's.
    ``plan`` gets the run's folder, which is there already, and may put files into it. ``grace`` is
    between SIGTERM and SIGKILL when the job is to end. Raises ``CancellingError`` when it was, what
    ``plan`` and ``Launcher.launch`` raise, and ``DetachedError``; no process of the run is left
    then, but after the last. The folder with the exit facts stays until the attempt's end is on
    record: a service that dies before that finds them, and the run is not made again.
    """
    run_id = run_id_of(execution.job)
    try:
        status = _followed(parts, execution, run_id, plan, engine=engine, grace=grace)
    except DetachedError:
        raise
    except BaseException:
        status = _ended_for_sure(parts, run_id, reason="its attempt failed")
        _note_end(parts, execution, status, used)
        raise
    finally:
        execution.interrupt = execution.condemn = None
        execution.let_go.set()
    _note_end(parts, execution, status, used)
    if execution.stop.is_set():
        raise CancellingError("the job is to stop", job_id=execution.job.id)
    if status.problem is not None:
        raise lost(status.problem)
    yield Ended(run_id=run_id, status=status, directory=parts.launcher.directory(run_id))


def _followed(
    parts: Parts,
    execution: Execution,
    run_id: RunId,
    plan: Callable[[RunId, Path], RunSpec],
    *,
    engine: str | None,
    grace: timedelta,
) -> RunStatus:
    launcher = parts.launcher
    if execution.adopted:
        launcher.adopt(run_id)
        log.info("run adopted", extra={"run": run_id, "job": execution.job.id})
    else:
        _intend(parts, execution.job, run_id, engine)
        crash_point("after_intent")
        spec = plan(run_id, launcher.prepare(run_id))
        assert not spec.merged, "the two outputs of a job's run are told apart"
        crash_point("before_launch")
        if execution.stop.is_set():
            raise CancellingError("the job is to stop", job_id=execution.job.id)
        try:
            launcher.launch(_leased(parts, execution, spec))
        except LaunchRefusedError as error:
            failure = not_started(error.problem)
            if error.problem.code == "cluster_unavailable":
                failure.unanswered = execution.job.cluster
            raise failure from error
        crash_point("after_launch")

    def end(reason: str = "cancelled", pause: timedelta = grace) -> None:
        launcher.stop(run_id, grace=pause, reason=reason)

    execution.interrupt = end
    execution.condemn = lambda reason: end(reason, timedelta(0))
    if execution.job.state is JobState.STARTING:
        execution.step(EngineReady(at=parts.clock.now(), run_id=run_id))
    crash_point("run_started")
    return _awaited(parts, execution, run_id)


def _ended_for_sure(parts: Parts, run_id: RunId, *, reason: str) -> RunStatus:
    """End the run. Where that cannot be told to its cluster, its lease does it: it is waited for,
    since another attempt may follow, and there are never two."""
    lease = parts.settings.run_lease + _RUN_DIES
    until, never = parts.clock.monotonic() + lease.total_seconds(), threading.Event()
    while True:
        try:
            status = parts.launcher.stop(run_id, grace=timedelta(0), reason=reason)
        except UnavailableError as error:
            log.warning("run not ended", extra={"run": run_id, "reason": error.message})
            status = RunStatus(run_id=run_id, state=RunState.STARTING)
        if status.state.ended:
            return status
        if parts.clock.monotonic() > until:
            return RunStatus(run_id=run_id, state=RunState.GONE, reason=reason)
        parts.clock.wait(never, _STOP_AGAIN)


def _leased(parts: Parts, execution: Execution, spec: RunSpec) -> RunSpec:
    """The run's lease counts from the moment from which the job's does."""
    lease, launcher = parts.settings.run_lease, parts.launcher
    renewed_at = execution.renewed_at
    if renewed_at is None:
        assert execution.job.lease_until is not None
        claimed = execution.job.lease_until - lease
        renewed_at = launcher.moment() - (parts.clock.now() - claimed).total_seconds()
    pod = spec.pod or PodOptions()
    if pod.reserves is None:
        job = execution.job
        reserves = Capacity(cpu_millis=job.cpu_millis, memory_bytes=job.memory_bytes)
        pod = replace(pod, reserves=reserves)
    return replace(spec, lease=lease, renewed_at=renewed_at, pod=pod)


def _awaited(parts: Parts, execution: Execution, run_id: RunId) -> RunStatus:
    """The end of the run. A look is cheap, and comes sooner while the run is young."""
    keeper = LogKeeper(
        store=parts.store, launcher=parts.launcher, clock=parts.clock, job=execution.job
    )
    obstacles = ObstacleKeeper(database=parts.database, run_id=run_id, known=not execution.adopted)
    looks, never = iter(_FIRST_LOOKS), threading.Event()
    patience = parts.clock.monotonic() + parts.settings.run_start_timeout.total_seconds()
    while not (status := parts.launcher.status(run_id)).state.ended:
        if status.state is RunState.STARTING and status.problem is not None:
            late = parts.clock.monotonic() > patience and status.problem.code != GATED
            if late or status.problem.again is Again.NEVER:
                raise not_started(status.problem)
        if execution.stop.is_set() and execution.hand_over:
            keeper.keep()
            raise DetachedError("the service ends", job_id=execution.job.id)
        keeper.tick()
        obstacles.tell(status)
        crash_point("run_goes_on")
        parts.clock.wait(never, timedelta(seconds=next(looks, _LATER)))
    crash_point("run_ended")
    while not keeper.keep() and not execution.stop.is_set():
        parts.clock.wait(execution.stop, _KEEP_AGAIN)
    return status


def _intend(parts: Parts, job: Job, run_id: RunId, engine: str | None) -> None:
    with parts.database.transaction() as tx:
        run_rows.plan_job_run(
            tx, run_id=run_id, job=job, engine=engine, owner=parts.replica, at=parts.clock.now()
        )


def _reserved(job: Job, status: RunStatus) -> int:
    return cu_millis(job, milliseconds=round(status.elapsed_seconds * 1000))


def _note_end(
    parts: Parts,
    execution: Execution,
    status: RunStatus,
    used: Callable[[Job, RunStatus], int] | None,
) -> None:
    """What the run used and how it ended go on record with the end of the attempt."""
    execution.used[COMPUTE_CU_MILLIS] = (used or _reserved)(execution.job, status)

    def keep(tx: Tx) -> None:
        run_rows.end_run(
            tx,
            status.run_id,
            at=parts.clock.now(),
            exit_code=status.exit_code,
            reason=status.reason or "ended",
            cpu=timedelta(seconds=status.cpu_seconds),
            peak_memory=status.peak_rss_bytes,
        )

    execution.beside_the_end = keep
    execution.after_the_end = lambda: parts.launcher.forget(status.run_id)
