"""One attempt at a task: its files, the command until its end, and what it left.

The folder of a run::

    files/     the working directory of the command, with the files that it was given
    tmp/       its /tmp
    stdin      what it reads
    stdout     what it writes; standard error goes to the log
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.engines.api import Terms, no_terms
from jobs.execution.execution import Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.execution.runner import AttemptFailedError
from jobs.files import Files
from jobs.launchers.api import Limits, LogStream, PodOptions, RunSpec, RunState, RunStatus
from jobs.lifecycle.events import KINDS, Failed, Fault
from jobs.lifecycle.job import Job
from jobs.lifecycle.retry import may_retry
from jobs.lifecycle.spec import FileRef, TaskSpec
from jobs.outputs import STDOUT, find_files, keep_outputs
from jobs.runs.process import Ended, process
from jobs.store import run_rows
from jobs.store.jobs import history
from jobs.tasks.commands import Commands
from jobs.tasks.errors import TaskFailedError, TaskLostError, TaskMemoryError, TaskOutputError
from jobs.tasks.images import Images
from jobs.tasks.sandbox import Sandbox
from storage.base.ids import RunId

_OPEN_FILES = 4096
_LATE = timedelta(seconds=5)  # after the deadline, for the service to be first to say so
_TAIL = 400  # characters of standard error in a failure
_KILLED = 9
_SIGNALS = 128  # a shell, and the sandbox, end with this and the number of a signal


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWork:
    """What runs tasks. ``run`` is the ``Work`` of their kind."""

    files: Files
    commands: Commands
    sandbox: Sandbox
    images: Images = field(default_factory=Images)
    terms: Terms = no_terms  #: what a queue says of its pods
    grace: timedelta = timedelta(seconds=5)  #: from SIGTERM to SIGKILL

    def run(self, parts: Parts, execution: Execution) -> Outcome:
        """Run the command to its end, and keep what it left, also when it failed.

        Raises ``CommandRefusedError`` and ``ImageRefusedError`` for what was taken off the list, an
        error of ``errors`` for a bad end, and what ``process`` and ``Files`` raise.
        """
        spec = _spec_of(execution.job)

        def plan(run_id: RunId, directory: Path) -> RunSpec:
            return self._planned(parts, execution.job, run_id, directory)

        with process(parts, execution, plan, grace=self.grace) as ended:
            failure = _failure(parts, execution.job, ended)
            found = {}
            if failure is None:
                files = ended.directory / "files"
                found = find_files(files, spec.outputs, error=TaskOutputError)
            found[STDOUT] = ended.directory / "stdout"
            present = {name: path for name, path in found.items() if path.exists()}
            kept = keep_outputs(self.files, execution.job.project_id, present, execution.patiently)
            facts = {
                "end": _end(failure),
                **_facts(ended.status, self.sandbox),
                "outputs": [each.facts() for each in kept],
            }
            _keep_facts(parts, ended.run_id, facts)
            if failure is not None:
                raise failure
            return Outcome(facts=facts)

    def _planned(self, parts: Parts, job: Job, run_id: RunId, directory: Path) -> RunSpec:
        spec = _spec_of(job)
        if spec.image is None:
            self.commands.path(job.project_id, spec.command[0])
        else:
            self.images.check(spec.image)
        files, scratch = directory / "files", directory / "tmp"
        for folder in (files, scratch):
            folder.mkdir(exist_ok=True, mode=0o700)
        for ref in spec.files:
            self._fetch(job, ref, files / ref.name)
        if spec.stdin is not None:
            self._fetch(job, spec.stdin, directory / "stdin")
        return RunSpec(
            run_id=run_id,
            command=self.sandbox.wrap(spec.command, files=files, scratch=scratch),
            environment=_environment(spec, self.sandbox.places(files=files, scratch=scratch)),
            directory=directory,
            workdir=files,
            memory_bytes=_memory(parts, job, spec),
            limits=Limits(cores=spec.size.cores, open_files=_OPEN_FILES),
            labels={"job": job.id, "project": job.project_id, "queue": job.queue},
            stdin=None if spec.stdin is None else directory / "stdin",
            stdout=directory / "stdout",
            merged=False,
            max_output_bytes=spec.max_output_bytes,
            timeout=_left(parts, job),
            grace=self.grace,
            wrapper=self.sandbox.program,
            keeps=tuple(f"files/{pattern}" for pattern in spec.outputs),
            pod=self._pod(job, spec),
        )

    def _pod(self, job: Job, spec: TaskSpec) -> PodOptions:
        """The task's own image, or the queue's; whatever else the queue says holds for both."""
        terms = self.terms(job.project_id, job.queue)
        bare = spec.image is not None
        return PodOptions(image=spec.image or terms.image, bare=bare, template=terms.template)

    def _fetch(self, job: Job, ref: FileRef, path: Path) -> None:
        path.unlink(missing_ok=True)  # of an attempt to stage that was cut off
        self.files.fetch(job.project_id, ref, path)


def reserved_of(spec: TaskSpec) -> tuple[int, int]:
    """Thousandths of cores and bytes that a task takes of the machine."""
    return spec.size.cores * 1000, spec.size.memory_bytes


def _environment(spec: TaskSpec, places: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the command: nothing of the service's. Images have their own."""
    if spec.image is not None:
        return {**places, **spec.environment}
    ours = {"PATH": "/usr/local/bin:/usr/bin:/bin", **places}
    return {"LC_ALL": "C.UTF-8", "TZ": "UTC", **spec.environment, **ours}


def _left(parts: Parts, job: Job) -> timedelta | None:
    """Until the deadline, which then holds also while no service lives."""
    if job.deadline is None:
        return None
    return max(job.deadline - parts.clock.now(), timedelta(0)) + _LATE


def _memory(parts: Parts, job: Job, spec: TaskSpec) -> int:
    """Twice as much after each attempt that had too little."""
    failed = KINDS[Failed]
    with parts.database.read() as tx:
        short = sum(
            step.kind == failed and step.detail.get("fault") == Fault.MEMORY.value
            for step in history(tx, job.id)
        )
    memory: int = spec.size.memory_bytes << short
    return memory


def _failure(parts: Parts, job: Job, ended: Ended) -> AttemptFailedError | None:
    """What a bad end is told as; None for a good one."""
    status, spec = ended.status, _spec_of(job)
    if status.state is RunState.GONE or status.reason in {"orphaned", "lease"}:
        return TaskLostError(
            "the command's process is gone, and nobody knows how it ended", fault=Fault.PLATFORM
        )
    if status.reason == "output":
        return TaskOutputError(
            f"the command wrote more than {spec.max_output_bytes} bytes",
            hint="let it write less, or ask for a larger max_output",
            fault=Fault.USER,
        )
    if status.reason == "memory":
        return _short_of_memory(parts, job, spec)
    if _signal(status.exit_code) == _KILLED:
        return _short_of_memory(parts, job, spec, killed=True)
    if status.reason is not None:
        fault = Fault.USER if status.reason == "deadline" else Fault.PLATFORM
        return TaskLostError(f"the service ended the command: {status.reason}", fault=fault)
    return None if status.exit_code == 0 else _failed(parts, ended)


def _failed(parts: Parts, ended: Ended) -> TaskFailedError:
    code = ended.status.exit_code
    assert code is not None
    number = _signal(code)
    what = f"by signal {number}" if code < 0 else f"with exit code {code}"
    log = parts.launcher.logs(ended.run_id, stream=LogStream.STDERR)
    lines = log.data.decode(errors="replace").strip().splitlines()
    told = f": {lines[-1][:_TAIL]}" if lines else ""
    return TaskFailedError(
        f"the command ended {what}{told}",
        hint="its log has the rest",
        fault=Fault.USER,
        exit_code=code,
    )


def _short_of_memory(
    parts: Parts, job: Job, spec: TaskSpec, *, killed: bool = False
) -> TaskMemoryError:
    """The next attempt gets twice the memory, where the machine has so much.

    ``killed``: not by the service, so nobody knows for sure why.
    """
    had = _memory(parts, job, spec)
    message, hint = f"the command used more than its {had >> 20} MiB of memory", "ask for more"
    if killed:
        message = f"the command was killed (signal {_KILLED}), most likely for its memory"
    if 2 * had > parts.launcher.capacity().memory_bytes:
        return TaskMemoryError(message, hint=hint, fault=Fault.USER)
    if may_retry(job, Fault.MEMORY):
        message += f" (the next attempt gets {had >> 19} MiB)"
    # By the ratio, since a queue may reserve less than the limit.
    reserves = job.memory_bytes * 2
    return TaskMemoryError(message, hint=hint, fault=Fault.MEMORY, memory_bytes=reserves)


def _signal(code: int | None) -> int:
    """The number of the signal that ended the command; 0: none did."""
    if code is None:
        return 0
    return -code if code < 0 else max(code - _SIGNALS, 0)


def _end(failure: AttemptFailedError | None) -> str:
    """A word for the end; ``jobs.history`` looks for want of memory."""
    if failure is None:
        return "done"
    return "out_of_memory" if isinstance(failure, TaskMemoryError) else "failed"


def _facts(status: RunStatus, sandbox: Sandbox) -> dict[str, Any]:
    return {
        "exit_code": status.exit_code,
        "sandbox": sandbox.name,
        "peak_memory": status.peak_rss_bytes,
        "elapsed_ms": round(status.elapsed_seconds * 1000),
    }


def _keep_facts(parts: Parts, run_id: RunId, facts: Mapping[str, Any]) -> None:
    with parts.database.transaction() as tx:
        run_rows.keep_run_facts(tx, run_id, facts)


def _spec_of(job: Job) -> TaskSpec:
    assert isinstance(job.spec, TaskSpec), f"{job.id} is no task"
    return job.spec
