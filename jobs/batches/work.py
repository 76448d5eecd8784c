"""One attempt at a batch: its files, a process until its end, and what that came to."""

from __future__ import annotations

import json
import logging
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.batches import command
from jobs.batches.command import Folders
from jobs.batches.errors import ERRORS, BatchOutputError
from jobs.batches.event_log import SparkSummary, summarise
from jobs.batches.exits import ExitKind, ProgramExit, Verdict, judge
from jobs.batches.growth import attempt_size, grown, memory_ends, sizes_so_far
from jobs.batches.placing import Placing
from jobs.batches.sizes import pods_cu_millis, size_name
from jobs.batches.tables import bindings_of, described
from jobs.batches.telling import TOLD, read_told
from jobs.engines.pool import EngineHandle
from jobs.engines.spark_install import Spark
from jobs.execution.execution import Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.files import Files
from jobs.launchers.api import Launcher, LogStream, RunSpec, RunStatus
from jobs.lifecycle.events import Fault
from jobs.lifecycle.job import Job
from jobs.lifecycle.retry import may_retry
from jobs.lifecycle.spec import BatchLanguage, BatchSession, BatchSpec, EngineName, Size
from jobs.outputs import find_files, keep_outputs
from jobs.runs.process import Ended, process
from jobs.statements.stopping import has_let_go, wait_until_dead
from jobs.store import run_rows
from jobs.store.jobs import history
from jobs.usage import COMPUTE_CU_MILLIS
from sql.syntax.lexer import split_script
from storage.base.errors import InvalidInputError
from storage.base.ids import RunId

log = logging.getLogger(__name__)

_TAIL = 64 << 10  # bytes of each log that are looked at for what went wrong
_BLOCK = 1 << 20
_CLIENT_CPU_MILLIS = 250


class ScriptInvalidError(InvalidInputError):
    """The SQL script of a batch cannot be split into statements, or has none."""

    code = "script_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRunSettings:
    """How their runs are ended, and what of them is kept."""

    grace: timedelta = timedelta(seconds=10)  #: from SIGTERM to SIGKILL
    log_bytes_kept: int = 256 << 20  #: of an event log; what is longer is summarised, not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWork:
    """What runs batches. ``run`` is the ``Work`` of their kind."""

    files: Files
    spark: Spark
    placing: Placing
    settings: BatchRunSettings = BatchRunSettings()

    def run(self, parts: Parts, execution: Execution) -> Outcome:
        """Run the program to its end. Raises an error of ``errors.ERRORS`` for a bad one, and what
        ``process`` and ``Files.fetch`` raise."""
        spec = _spec_of(execution.job)
        if spec.session is BatchSession.CONNECT:
            return self._as_client(parts, execution, spec)
        sizes = _sizes_of(parts, execution.job, spec)

        def plan(run_id: RunId, directory: Path) -> RunSpec:
            folders = self._staged(execution.job, spec, directory)
            if spec.tables:
                bindings = bindings_of(parts, execution.job.project_id, spec.tables)
                _write_json(folders.lib / command.TABLES, [described(each) for each in bindings])
            return self.placing.plan(
                run_id, execution.job, spec, sizes[-1], folders, spark=self.spark
            )

        def used(job: Job, status: RunStatus) -> int:
            return pods_cu_millis(
                job,
                spec,
                sizes[-1],
                driver=round(status.elapsed_seconds * 1000),
                executors=round(status.made_seconds * 1000),
            )

        with process(
            parts,
            execution,
            plan,
            engine=EngineName.SPARK.value,
            grace=self.settings.grace,
            used=used if self.placing.apart(spec) else None,
        ) as ended:
            if not self.spark.recorded:
                parts.pool.improve_soon(EngineName.SPARK)
            summary = self._kept_events(parts, execution.job, ended)
            outcome = _outcome(parts, execution.job, ended, sizes=sizes, summary=summary)
            return self._with_outputs(execution, spec, ended, outcome)

    def _as_client(self, parts: Parts, execution: Execution, spec: BatchSpec) -> Outcome:
        """The program as a client of the queue's engine, in a session that ends with it."""
        job = execution.job
        with _engine(parts, execution) as (handle, remote):

            def plan(run_id: RunId, directory: Path) -> RunSpec:
                folders = self._staged(job, spec, directory)
                return self.placing.plan_client(run_id, job, spec, folders, remote=remote)

            with process(parts, execution, plan, grace=self.settings.grace) as ended:
                lost = execution.adopted or parts.launcher.status(handle.run_id).state.ended
                outcome = _outcome(parts, job, ended, sizes=[spec.driver], engine=handle, lost=lost)
                return self._with_outputs(execution, spec, ended, outcome)

    def _staged(self, job: Job, spec: BatchSpec, directory: Path) -> Folders:
        """Everything that the program needs, in its folder."""
        folders = Folders(directory)
        folders.make()
        for ref in (spec.program, *spec.py_files, *spec.jars, *spec.files):
            path = folders.work / ref.name
            path.unlink(missing_ok=True)  # of an attempt to stage that was cut off
            self.files.fetch(job.project_id, ref, path)
        for name in (command.TABLES_MODULE, command.SQL_PROGRAM):
            shutil.copyfile(command.PROGRAMS / name, folders.lib / name)
        shutil.copyfile(command.LOGGING, folders.lib / command.LOGGING.name)
        if spec.language is BatchLanguage.SQL:
            text = (folders.work / spec.program.name).read_bytes()
            _write_json(folders.lib / command.STATEMENTS, split_program(text))
        return folders

    def _with_outputs(
        self, execution: Execution, spec: BatchSpec, ended: Ended, outcome: Outcome
    ) -> Outcome:
        """The outcome with the files that are kept, and what the program told of itself."""
        folders = Folders(ended.directory)
        told = read_told(folders.lib / TOLD)
        found = find_files(folders.work, spec.outputs, error=BatchOutputError)
        kept = keep_outputs(self.files, execution.job.project_id, found, execution.patiently)
        left: dict[str, Any] = {"outputs": [each.facts() for each in kept]} if kept else {}
        left |= {"told": told} if told else {}
        return replace(outcome, facts={**(outcome.facts or {}), **left})

    def _kept_events(self, parts: Parts, job: Job, ended: Ended) -> SparkSummary | None:
        """The event log summed up and kept as an object; None where Spark never began one."""
        logs = sorted(Folders(ended.directory).events.glob("*"))
        if not logs:
            return None
        with logs[0].open("rb") as lines:
            summary = summarise(lines, folder=f"{Folders(ended.directory).work}/")
        if logs[0].stat().st_size <= self.settings.log_bytes_kept:
            packed = ended.directory / "events.zst"
            with logs[0].open("rb") as source, pa.CompressedOutputStream(packed, "zstd") as sink:
                shutil.copyfileobj(source, sink, _BLOCK)
            parts.store.put_file(event_log_key(job), packed)
        return summary


def event_log_key(job: Job) -> str:
    """Where the event log of the job's current attempt is kept: JSON lines, zstd."""
    return f"logs/{job.id}/{job.attempt}/spark-events.jsonl.zst"


def reserved_of(spec: BatchSpec, size: Size) -> tuple[int, int]:
    """Thousandths of cores and bytes that a batch of this ``size`` takes of the machine.

    A client's computation is the engine's, which has a reservation of its own.
    """
    if spec.session is BatchSession.CONNECT:
        return _CLIENT_CPU_MILLIS, spec.driver.memory_bytes
    return size.cores * 1000, size.memory_bytes


def split_program(text: bytes) -> list[dict[str, Any]]:
    """The statements of a SQL script with the line each starts on.

    Raises ``ScriptInvalidError``, and what the lexer raises.
    """
    try:
        script = text.decode()
    except UnicodeDecodeError as error:
        raise ScriptInvalidError("the SQL script is not UTF-8") from error
    statements = [{"sql": part.sql, "line": part.line} for part in split_script(script)]
    if not statements:
        raise ScriptInvalidError("the SQL script has no statement")
    return statements


def _outcome(
    parts: Parts,
    job: Job,
    ended: Ended,
    *,
    sizes: Sequence[Size],
    summary: SparkSummary | None = None,
    engine: EngineHandle | None = None,
    lost: bool = False,
) -> Outcome:
    """What the run came to, kept with the run; raises where that is a failure.

    ``lost``: the engine of a client was, so that what the client says of its end is of no meaning.
    """
    status = ended.status
    verdict = judge(
        ProgramExit(
            code=status.exit_code,
            reason=status.reason,
            out=_tail(parts.launcher, ended.run_id, LogStream.STDOUT),
            err=_tail(parts.launcher, ended.run_id, LogStream.STDERR),
        )
    )
    if lost and verdict.fault is Fault.USER:
        verdict = Verdict(
            kind=ExitKind.PLATFORM_FAULT,
            fault=Fault.PLATFORM,
            message="the engine was lost while the program used it",
        )
    size = sizes[-1]
    facts: dict[str, Any] = {
        "end": verdict.kind.value,
        "exit_code": status.exit_code,
        "size": _told(size),
        "peak_memory": status.peak_rss_bytes,
    }
    if engine is not None:
        facts["engine_run"] = engine.run_id
    stages = {} if summary is None else {"spark": summary.facts()}
    with parts.database.transaction() as tx:
        run_rows.keep_run_facts(tx, ended.run_id, facts | stages)
    if verdict.kind is ExitKind.DONE:
        totals = {} if summary is None else {"spark": summary.short()}
        return Outcome(facts=facts | {"sizes": [size_name(each) for each in sizes]} | totals)
    raise _failure(parts, job, verdict, size=size, code=status.exit_code, client=engine is not None)


def _failure(
    parts: Parts, job: Job, verdict: Verdict, *, size: Size, code: int | None, client: bool
) -> Exception:
    """The error of a bad end; after an out-of-memory one it says what the next attempt gets."""
    assert verdict.fault is not None
    message, fault = verdict.message, verdict.fault
    reserves: int | None = None
    if fault is Fault.MEMORY and not client and may_retry(job, fault):
        larger = grown(size, parts.launcher.capacity())
        if larger is None:
            message, fault = f"{message}; this machine has no larger size", Fault.USER
        else:
            message = f"{message} ({size_name(size)}; the next size is {size_name(larger)})"
            # By the ratio, since a queue may reserve less than the limit.
            reserves = job.memory_bytes * larger.memory_bytes // size.memory_bytes
    details: dict[str, Any] = {} if code is None else {"exit_code": code}
    kind = ERRORS[verdict.kind]
    return kind(message, hint=verdict.hint, fault=fault, memory_bytes=reserves, **details)


@contextmanager
def _engine(parts: Parts, execution: Execution) -> Iterator[tuple[EngineHandle, str]]:
    """The queue's Spark, and the address of a session there that nobody else has.

    What is left of the session is gone when the block is through; an engine that works on is
    killed.
    """
    job = execution.job
    spec = _spec_of(job)
    handle = parts.pool.acquire(
        project_id=job.project_id,
        queue=job.queue,
        engine=EngineName.SPARK,
        image=parts.canaries.own_image(job.project_id, job.queue),
        stop=execution.stop,
        cluster=job.cluster,
    )
    began, before = parts.clock.monotonic(), parts.pool.executors_used(handle)
    try:
        session_id = str(uuid.uuid4())
        session = handle.client.open_client_session(session_id)
        try:
            session.configure(spec.conf)
            for binding in bindings_of(parts, job.project_id, spec.tables):
                session.bind(binding)
            yield handle, _remote(handle, session_id)
        finally:
            session.end()
            if execution.stop.is_set() and not execution.hand_over:
                _see_it_stop(parts, handle)
    finally:
        cores = parts.settings.engine_cu.get(EngineName.SPARK, 1)
        millis = round((parts.clock.monotonic() - began) * 1000 * cores)
        millis += max(parts.pool.executors_used(handle) - before, 0)
        execution.used[COMPUTE_CU_MILLIS] = execution.used.get(COMPUTE_CU_MILLIS, 0) + millis
        parts.pool.release(handle)


def _remote(handle: EngineHandle, session_id: str) -> str:
    """The session as PySpark is told of it.

    Its own ``token`` would want TLS but on ``localhost``; what it does not know it sends along.
    """
    told = f"authorization=Bearer%20{handle.token}"
    return f"sc://{handle.address}/;user_id=dli;session_id={session_id};{told}"


def _see_it_stop(parts: Parts, handle: EngineHandle) -> None:
    alone = parts.pool.users(handle) <= 1
    if not has_let_go(handle, parts.launcher, parts.clock, alone=alone):
        parts.pool.condemn(handle, "it works on at a batch that was stopped")
        wait_until_dead(handle, parts.launcher, parts.clock)


def _spec_of(job: Job) -> BatchSpec:
    assert isinstance(job.spec, BatchSpec), f"{job.id} is no batch"
    return job.spec


def _sizes_of(parts: Parts, job: Job, spec: BatchSpec) -> list[Size]:
    """Of all attempts up to this one."""
    with parts.database.read() as tx:
        steps = history(tx, job.id)
    return sizes_so_far(spec, steps) or [attempt_size(spec, memory_ends(steps))]


def _told(size: Size) -> dict[str, Any]:
    return {"name": size_name(size), "cores": size.cores, "memory_bytes": size.memory_bytes}


def _tail(launcher: Launcher, run_id: RunId, stream: LogStream) -> str:
    """The end of a log, as text."""
    kept, offset = b"", 0
    while (part := launcher.logs(run_id, stream=stream, offset=offset)).data:
        kept, offset = (kept + part.data)[-_TAIL:], part.end
    return kept.decode(errors="replace")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
