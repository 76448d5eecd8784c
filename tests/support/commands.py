"""A kind of work for tests of runs: a shell command, without what tasks add to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.accepting import Offer
from jobs.execution.execution import Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.execution.runner import AttemptFailedError
from jobs.launchers.api import RunSpec
from jobs.lifecycle.events import Fault
from jobs.lifecycle.spec import JobKind
from jobs.runs.process import process
from jobs.views import JobView, Terms
from storage.base.ids import RunId, UserId
from tests.support.jobs import PROJECT, make_task_spec
from tests.support.replicas import Replica

GRACE = timedelta(seconds=1)


class ExitCodeError(AttemptFailedError):
    """The command ended with another code than 0."""

    code = "test_exit_code"


def run_command(parts: Parts, execution: Execution) -> Outcome:
    """The command's exit code as a fact; 75 is the platform's fault."""
    spec: Any = execution.job.spec
    with process(parts, execution, _spec(spec.command), grace=GRACE) as ended:
        code = ended.status.exit_code
        if code:
            fault = Fault.PLATFORM if code == 75 else Fault.USER
            raise ExitCodeError(f"it ended with {code}", fault=fault)
        made = sorted(path.name for path in ended.directory.glob("made-*"))
    return Outcome(facts={"exit_code": code, "made": made})


def _spec(command: tuple[str, ...]) -> Callable[[RunId, Path], RunSpec]:
    def plan(run_id: RunId, directory: Path) -> RunSpec:
        return RunSpec(
            run_id=run_id,
            command=command,
            environment={"PATH": os.defpath},
            directory=directory,
            merged=False,
            grace=GRACE,
        )

    return plan


def submit_command(replica: Replica, text: str, **changes: Any) -> JobView:
    """Keep a task that runs ``text`` in a shell."""
    service = replica.service
    service.add_kind(JobKind.TASK, run_command)
    spec = make_task_spec(command=("/bin/sh", "-c", text), **changes)
    job = service.accepting.new_job(
        JobKind.TASK,
        spec,
        terms=Terms(project_id=PROJECT, user_id=UserId("usr_1"), may_write=True),
        queue=service.queues.get(PROJECT, "default"),
        at=replica.parts.clock.now(),
        cpu_millis=1000,
        memory_bytes=1 << 28,
    )
    return service.accepting.keep(Offer(job=job))


def python(text: str) -> str:
    """A shell command that runs Python code."""
    return f"exec {sys.executable} -c '{text}'"
