"""A statement that computes: find an engine, bind the tables, stream rows or write files."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.canaries.canaries import Choice
from jobs.crash import crash_point
from jobs.engines.api import EngineSession
from jobs.engines.errors import EngineLostError, ResultTooLargeError
from jobs.engines.naming import named_batch, named_schema
from jobs.engines.pool import EngineHandle
from jobs.engines.stopwatch import Stopwatch
from jobs.execution.execution import CancellingError, Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.lifecycle.events import EngineReady
from jobs.lifecycle.spec import EngineName
from jobs.statements.on_canary import counted, repeat_later
from jobs.statements.spill import read_spilled, remove_spilled, spill_key
from jobs.statements.stopping import has_let_go, wait_until_dead
from jobs.statements.writing import prepare_write
from jobs.usage import COMPUTE_CU_MILLIS
from jobs.views import Progress
from storage.results.manifest import Manifest
from storage.results.writer import ResultWriter


def run_on_engine(parts: Parts, execution: Execution) -> Outcome:
    """The result, not yet to be seen. The engine has let go of the statement when this returns.

    Raises the engine's errors. An engine that does not let go is condemned first.
    """
    choice = parts.canaries.choose(execution.job)
    with counted(parts, execution, choice), _engine(parts, execution, choice) as handle:
        crash_point("after_engine")
        session = handle.client.open_session()
        try:
            with execution.timed("bind"):
                for binding in execution.plan.bindings:
                    session.bind(binding)
            execution.step(
                EngineReady(
                    at=parts.clock.now(),
                    run_id=handle.run_id,
                    engine_version=handle.version,
                    image=choice.image,
                    canary_id=choice.canary.id if choice.canary and choice.splits else None,
                )
            )
            crash_point("after_bind")
            work = _Work(parts=parts, execution=execution, session=session)
            outcome = _executed(execution, work)
            repeat_later(parts, execution, choice, outcome.manifest)
            return outcome
        finally:
            execution.interrupt = None
            session.release()


def _executed(execution: Execution, work: _Work) -> Outcome:
    """The outcome; what is done with rows or files after the engine gave them is ``publish``."""
    with execution.timed("execute"):
        if execution.plan.target is not None:
            outcome = prepare_write(work.parts, execution, work)
        else:
            outcome = Outcome(manifest=work.collect())
    timings = execution.timings
    timings["execute"] = round(max(timings["execute"] - timings["publish"], 0.0), 3)
    return outcome


@contextmanager
def _engine(parts: Parts, execution: Execution, choice: Choice) -> Iterator[EngineHandle]:
    """An engine that serves the statement, and what its time costs."""
    job = execution.job
    assert job.statement.engine is not None
    crash_point("before_engine")
    with execution.timed("engine"):
        handle = parts.pool.acquire(
            project_id=job.project_id,
            queue=job.queue,
            engine=job.statement.engine,
            image=choice.image,
            stop=execution.stop,
            cluster=job.cluster,
        )
    began, before = parts.clock.monotonic(), parts.pool.executors_used(handle)
    execution.condemn = lambda reason: parts.pool.condemn(handle, reason)
    try:
        try:
            yield handle
        except EngineLostError as error:
            told = parts.pool.diagnose(handle, error)
            parts.pool.condemn(handle, "it was lost to a statement")
            if execution.stop.is_set():
                wait_until_dead(handle, parts.launcher, parts.clock)
            raise told from error
        except BaseException:
            if execution.stop.is_set():
                _see_it_stop(parts, execution, handle)
            raise
    finally:
        execution.condemn = None
        execution.let_go.set()
        cu = parts.settings.engine_cu.get(job.statement.engine, 1)
        millis = max(1, round((parts.clock.monotonic() - began) * 1000 * cu))
        execution.executor_cu_ms = max(parts.pool.executors_used(handle) - before, 0)
        millis += execution.executor_cu_ms
        execution.used[COMPUTE_CU_MILLIS] = execution.used.get(COMPUTE_CU_MILLIS, 0) + millis
        parts.pool.release(handle)


def _see_it_stop(parts: Parts, execution: Execution, handle: EngineHandle) -> None:
    """``cancelled`` may be said only after this."""
    execution.let_go.set()  # nobody needs to interrupt any more: the stream has ended
    alone = parts.pool.users(handle) <= 1
    if not has_let_go(handle, parts.launcher, parts.clock, alone=alone):
        parts.pool.condemn(handle, "it works on at a statement that was stopped")
        wait_until_dead(handle, parts.launcher, parts.clock)


@dataclass(slots=True, kw_only=True)
class _Work:
    """One statement in its session."""

    parts: Parts
    execution: Execution
    session: EngineSession
    _writer: ResultWriter | None = field(default=None)

    def collect(self) -> Manifest:
        """The rows as a result: through the stream, or by way of files where they are too many."""
        plan = self.execution.plan
        assert plan.engine_sql is not None
        try:
            if self._goes_by_files():
                return self._by_files(plan.engine_sql)
            try:
                return self._by_stream(plan.engine_sql)
            except ResultTooLargeError:
                self._abort()
                return self._by_files(plan.engine_sql)
        except BaseException:
            self._abort()
            raise

    def write(self, sql: str, uri: str) -> None:
        """Run ``sql`` into files below ``uri``."""
        operation_id = self._begin()
        self.session.write(sql, operation_id=operation_id, uri=uri)
        self._check_stop()
        crash_point("after_execute")

    def schema(self, sql: str) -> pa.Schema:
        """The columns that ``sql`` gives, found by running it."""
        return self.session.execute(sql, operation_id=self._begin()).schema

    def _goes_by_files(self) -> bool:
        """Spark gathers rows in its driver, which many rows kill; so what is likely big is written
        by the executors. What is only unknown is tried: ``ResultTooLargeError`` ends the try."""
        plan = self.execution.plan
        if self.execution.job.statement.engine is not EngineName.SPARK or plan.cost is None:
            return False
        most = self.parts.settings.collect_rows
        if plan.bounded_rows is not None and plan.bounded_rows <= most:
            return False
        return plan.cost.rows.likely > most

    def _by_stream(self, sql: str) -> Manifest:
        operation_id, watch = self._begin(), Stopwatch(self.parts.clock)
        with watch.running():
            stream = self.session.execute(sql, operation_id=operation_id)
            schema = stream.schema
        manifest = self._store(schema, watch.over(stream))
        self.execution.engine_millis = watch.millis
        return manifest

    def _by_files(self, sql: str) -> Manifest:
        key = spill_key(self.execution.job)
        self.write(sql, self.parts.store.uri(key))
        try:
            schema, batches = read_spilled(self.parts.store, key)
            if schema is None:  # no rows, no files: the stream knows the columns
                return self._by_stream(sql)
            return self._store(schema, batches)
        finally:
            remove_spilled(self.parts.store, key)

    def _store(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Manifest:
        settings, job = self.parts.settings, self.execution.job
        writer = self._writer = ResultWriter(
            self.parts.store,
            project_id=job.project_id,
            job_id=job.id,
            attempt=job.attempt,
            max_rows=job.statement.max_rows,
            max_bytes=settings.max_result_bytes,
        )
        names = self.execution.plan.column_names
        writer.declare(named_schema(schema, names))
        for batch in batches:
            self._check_stop()
            more = writer.write(named_batch(batch, names))
            self.execution.progress = Progress(rows=writer.rows, bytes=writer.bytes)
            crash_point("mid_execute")
            if not more:
                self._stop_engine()
                break
        self._check_stop()
        crash_point("after_execute")
        with self.execution.timed("publish"):
            manifest = writer.close()
        self._writer = None
        self.execution.progress = Progress(rows=manifest.rows, bytes=manifest.bytes)
        return manifest

    def _begin(self) -> str:
        """A new operation, which can be interrupted from here on."""
        self._check_stop()
        operation_id = str(uuid.uuid4())
        session = self.session

        def interrupt() -> None:
            session.interrupt(operation_id)

        self.execution.interrupt = interrupt
        return operation_id

    def _stop_engine(self) -> None:
        """Enough rows: what the engine still does is of no use."""
        if self.execution.interrupt is not None:
            self.execution.interrupt()

    def _check_stop(self) -> None:
        if self.execution.stop.is_set():
            raise CancellingError("the statement is to stop", job_id=self.execution.job.id)

    def _abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
