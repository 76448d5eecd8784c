"""The way in for tasks: checked, kept; and the way to what they left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from jobs.accepting import Accepting, KeyTakenError, Offer, check_terms, least
from jobs.errors import WriteForbiddenError
from jobs.execution.parts import Parts
from jobs.files import Files
from jobs.history.book import next_size
from jobs.history.fingerprints import fingerprint_of
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind, RetryPolicy, TaskSpec
from jobs.queues.definitions import DEFAULT_QUEUE, QueueDef
from jobs.queues.known import KnownQueues
from jobs.tasks.commands import Commands
from jobs.tasks.images import Images
from jobs.tasks.spec import TaskDefaults, TaskRequest, check_form, task_spec
from jobs.tasks.work import reserved_of
from jobs.views import JobView, Terms
from storage.base.errors import BusyError, ServiceError, TooLargeError, UnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """What the operator allows."""

    commands: Commands = field(default_factory=Commands)
    images: Images = field(default_factory=Images)
    max_output: int = 2 << 30  #: bytes that one task may write


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """Safe to call from any thread. ``once`` is ``JobService.once``."""

    parts: Parts
    accepting: Accepting
    queues: KnownQueues
    files: Files
    settings: TaskSettings
    once: Callable[[Terms, Callable[[], JobView]], JobView]

    def submit(self, request: TaskRequest) -> JobView:
        """Keep a task, and start it if there is room; returns at once.

        Raises ``WriteForbiddenError``, ``CommandRefusedError``, what ``Images.check`` does,
        ``RequestInvalidError``, what ``Files`` raises for files that are not there, and what
        ``Accepting.keep`` does. The same key and body give the same job again.
        """
        return self.once(request.terms, lambda: self._submit(request))

    def check(self, request: TaskRequest) -> None:
        """Raise what ``submit`` would for one who may do everything; nothing is kept."""
        self._understood(request)

    def _submit(self, request: TaskRequest) -> JobView:
        terms = request.terms
        job = self._understood(request)
        offer = Offer(job=job, key=terms.idempotency_key, body_hash=terms.body_hash)
        try:
            return self.accepting.keep(offer)
        except (BusyError, UnavailableError, TooLargeError, KeyTakenError):
            raise
        except ServiceError as error:
            self.accepting.keep_refused(offer, error)
            error.details["job_id"] = job.id
            raise

    def _understood(self, request: TaskRequest) -> Job:
        terms = request.terms
        if not terms.may_write:
            raise WriteForbiddenError(
                "a task needs the right to write", hint="ask a project's admin"
            )
        check_terms(terms)
        check_form(request)
        program = self._program(request)
        queue = self.queues.get(terms.project_id, terms.queue or DEFAULT_QUEUE)
        spec = task_spec(
            request,
            program=program,
            defaults=self._defaults(terms, queue),
            files=self.files,
        )
        if request.memory_bytes is None:
            spec = self._sized(terms, spec)
        cpu, memory = reserved_of(spec)
        return self.accepting.new_job(
            JobKind.TASK,
            spec,
            terms=terms,
            queue=queue,
            at=self.parts.clock.now(),
            cpu_millis=cpu,
            memory_bytes=memory,
        )

    def _program(self, request: TaskRequest) -> str:
        """What is run: of this service a program that is allowed, of an image whatever it has."""
        if request.image is not None:
            self.settings.images.check(request.image)
            return request.command[0]
        return str(self.settings.commands.path(request.terms.project_id, request.command[0]))

    def _sized(self, terms: Terms, spec: TaskSpec) -> TaskSpec:
        """With the memory that earlier runs of the same command call for, if that is more."""
        fingerprint = fingerprint_of(spec)
        assert fingerprint is not None
        with self.parts.database.read() as tx:
            found = next_size(tx, terms.project_id, fingerprint)
        if found is not None and found.said:
            return replace(spec, size=found.size, size_reason=found.reason)
        if found is None or found.size.memory_bytes <= spec.size.memory_bytes:
            return replace(spec, size_reason="the default")
        size = replace(spec.size, memory_bytes=found.size.memory_bytes)
        return replace(spec, size=size, size_reason=found.reason)

    def _defaults(self, terms: Terms, queue: QueueDef) -> TaskDefaults:
        settings = self.parts.settings
        most = min(queue.longest, settings.max_timeout)
        return TaskDefaults(
            max_output_bytes=self.settings.max_output,
            max_cost=least(terms.max_cost, queue.max_cost),
            timeout=min(terms.timeout or queue.timeout, most),
            retry=terms.retry
            or RetryPolicy(attempts=settings.max_attempts, pause=settings.retry_pause),
        )
