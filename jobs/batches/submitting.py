"""The way in for batches: checked, sized, kept; or only estimated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from jobs.accepting import Accepting, KeyTakenError, Offer, check_terms, least
from jobs.batches.sizes import CLIENT_SIZE, LEAST_MEMORY, MOST_MEMORY, whole_size
from jobs.batches.spec import BatchDefaults, BatchRequest, batch_spec
from jobs.batches.tables import bindings_of
from jobs.batches.work import reserved_of, split_program
from jobs.errors import RequestInvalidError, WriteForbiddenError
from jobs.execution.parts import Parts
from jobs.files import Files
from jobs.history.book import next_size
from jobs.history.fingerprints import fingerprint_of
from jobs.history.store import FINISHED, Observation, recent
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import cu_millis
from jobs.lifecycle.spec import (
    BatchLanguage,
    BatchSession,
    BatchSpec,
    JobKind,
    RetryPolicy,
    Size,
)
from jobs.queues.definitions import DEFAULT_QUEUE, QueueDef
from jobs.queues.known import KnownQueues
from jobs.views import JobView, Terms
from storage.base.errors import (
    BusyError,
    ForbiddenError,
    ServiceError,
    TooLargeError,
    UnavailableError,
)

_LONGEST_SCRIPT = 1_000_000  # bytes of a SQL program; the lexer's own bound is on characters
_MILLISECOND = timedelta(milliseconds=1)


class BatchesOffError(ForbiddenError):
    """The operator of the service does not let anybody run programs."""

    code = "batches_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEstimate:
    """What is known of a batch before it runs: what it reserves, and the most that it can use.

    Nobody knows beforehand how long a program runs, so nothing here is exact and nothing has a
    price: ``most_cu_millis`` is what it uses if it lasts until its timeout.
    """

    spec: BatchSpec
    queue: str
    size: Size
    cpu_millis: int
    memory_bytes: int
    most_cu_millis: int
    likely_cu_millis: int | None = None  #: by earlier runs of the same program
    reason: str = "nobody knows how long a program runs before it has, so it has no price"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Safe to call from any thread. ``once`` is ``JobService.once``."""

    parts: Parts
    accepting: Accepting
    queues: KnownQueues
    files: Files
    once: Callable[[Terms, Callable[[], JobView]], JobView]
    enabled: bool = True  #: false: nobody may submit any

    def submit(self, request: BatchRequest) -> JobView:
        """Keep a batch, and start it if there is room; returns at once.

        Raises ``BatchesOffError``, ``WriteForbiddenError``, ``RequestInvalidError``, what
        ``Files`` raises for files that are not there, what the catalog raises for tables, the
        lexer for SQL programs, and what ``Accepting.keep`` does. The same key and body give the
        same job again.
        """
        return self.once(request.terms, lambda: self._submit(request))

    def estimate(self, request: BatchRequest) -> BatchEstimate:
        """What it would reserve and use at most; nothing is kept. Raises as ``submit``."""
        queue, job = self._understood(request)
        spec = _spec_of(job)
        millis = spec.timeout // _MILLISECOND  # it counts from the submit: attempts share it
        walls = sorted(
            each.wall // _MILLISECOND
            for each in self._seen(request.terms, spec)
            if each.outcome == FINISHED
        )
        likely = cu_millis(job, milliseconds=walls[len(walls) // 2]) if walls else None
        return BatchEstimate(
            spec=spec,
            queue=queue.name,
            size=whole_size(spec),
            cpu_millis=job.cpu_millis,
            memory_bytes=job.memory_bytes,
            most_cu_millis=cu_millis(job, milliseconds=millis),
            likely_cu_millis=likely,
        )

    def _submit(self, request: BatchRequest) -> JobView:
        terms = request.terms
        _, job = self._understood(request)
        offer = Offer(job=job, key=terms.idempotency_key, body_hash=terms.body_hash)
        try:
            return self.accepting.keep(offer)
        except (BusyError, UnavailableError, TooLargeError, KeyTakenError):
            raise
        except ServiceError as error:
            self.accepting.keep_refused(offer, error)
            error.details["job_id"] = job.id
            raise

    def _understood(self, request: BatchRequest) -> tuple[QueueDef, Job]:
        terms = request.terms
        if not self.enabled:
            raise BatchesOffError(
                "this service runs no batches", hint="its operator can set DLI_BATCHES=true"
            )
        if not terms.may_write:
            raise WriteForbiddenError(
                "a batch needs the right to write", hint="ask a project's admin"
            )
        check_terms(terms)
        queue = self.queues.get(terms.project_id, terms.queue or DEFAULT_QUEUE)
        spec = batch_spec(request, self._defaults(terms, queue), self.files)
        self._check_content(terms, spec)
        if request.size is None and request.driver is None:
            spec = self._sized(terms, spec)
        cpu, memory = reserved_of(spec, whole_size(spec))
        job = self.accepting.new_job(
            JobKind.BATCH,
            spec,
            terms=terms,
            queue=queue,
            at=self.parts.clock.now(),
            cpu_millis=cpu,
            memory_bytes=memory,
        )
        return queue, job

    def _sized(self, terms: Terms, spec: BatchSpec) -> BatchSpec:
        """The size by what earlier runs of the program used; the default where there were none."""
        if spec.session is BatchSession.CONNECT:
            return replace(spec, driver=CLIENT_SIZE, size_reason="of a client")
        fingerprint = fingerprint_of(spec)
        assert fingerprint is not None
        with self.parts.database.read() as tx:
            found = next_size(tx, terms.project_id, fingerprint)
        if found is None or spec.executor is not None:
            return replace(spec, size_reason="the default")
        memory = min(max(found.size.memory_bytes, LEAST_MEMORY), MOST_MEMORY)
        return replace(
            spec,
            driver=Size(cores=found.size.cores, memory_bytes=memory),
            size_reason=found.reason,
        )

    def _seen(self, terms: Terms, spec: BatchSpec) -> tuple[Observation, ...]:
        fingerprint = fingerprint_of(spec)
        assert fingerprint is not None
        with self.parts.database.read() as tx:
            return recent(tx, terms.project_id, fingerprint)

    def _defaults(self, terms: Terms, queue: QueueDef) -> BatchDefaults:
        settings = self.parts.settings
        most = min(queue.longest, settings.max_timeout)
        return BatchDefaults(
            conf_allowed=queue.conf_allowed,
            database=settings.default_database,
            max_cost=least(terms.max_cost, queue.max_cost),
            timeout=min(terms.timeout or queue.timeout, most),
            retry=terms.retry
            or RetryPolicy(attempts=settings.max_attempts, pause=settings.retry_pause),
        )

    def _check_content(self, terms: Terms, spec: BatchSpec) -> None:
        """What can be seen before the run of the things that the batch names."""
        if spec.program.size == 0:
            raise RequestInvalidError("the program is an empty file", field="program")
        if spec.language is BatchLanguage.SQL:
            split_program(self.files.read(terms.project_id, spec.program, most=_LONGEST_SCRIPT))
        if spec.tables:
            bindings_of(self.parts, terms.project_id, spec.tables)


def _spec_of(job: Job) -> BatchSpec:
    assert isinstance(job.spec, BatchSpec)
    return job.spec
