"""What a statement has to do with its queue's canary, beside running: it is counted or repeated.

Nothing here is in the way of the statement: what is written goes with its last transaction, and
what is repeated waits until that is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.canaries.canaries import Choice
from jobs.canaries.shadows import Answered, may_be_compared
from jobs.canaries.spec import Canary
from jobs.canaries.trials import Outcome, Trial, TrialKind, tells_nothing
from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.lifecycle.states import JobState
from jobs.usage import COMPUTE_CU_MILLIS
from storage.base.errors import ServiceError
from storage.meta.database import Tx
from storage.results.manifest import Manifest


@contextmanager
def counted(parts: Parts, execution: Execution, choice: Choice) -> Iterator[None]:
    """Around an attempt at a statement: see that its end is counted for the queue's canary."""
    canary = choice.canary
    if canary is None:
        yield
    elif choice.splits:
        execution.on_canary = True
        split = _Split(parts, execution, canary)
        execution.beside_the_end = split.keep
        try:
            yield
        except ServiceError as error:
            split.error = error
            raise
    else:
        if execution.job.attempt > 1:
            execution.beside_the_end = lambda tx: _rescue(parts, execution, canary, tx)
        yield


def repeat_later(
    parts: Parts, execution: Execution, choice: Choice, manifest: Manifest | None
) -> None:
    """After the end of a query that was chosen for it, let its canary answer it as well."""
    canary = choice.canary
    if canary is None or not choice.shadows or manifest is None:
        return
    millis = execution.engine_millis
    if millis is None or not may_be_compared(execution.plan, manifest):
        return

    def offer() -> None:
        if execution.job.state is JobState.FINISHED:
            parts.shadows.offer(
                Answered(
                    job=execution.job,
                    plan=execution.plan,
                    manifest=manifest,
                    canary=canary,
                    millis=millis,
                    executor_cu_ms=execution.executor_cu_ms,
                )
            )

    execution.after_the_end = offer


class _Split:
    """An attempt on a canary. What it came to is known when its end is written."""

    def __init__(self, parts: Parts, execution: Execution, canary: Canary) -> None:
        self.error: ServiceError | None = None
        self._parts = parts
        self._execution = execution
        self._canary = canary

    def keep(self, tx: Tx) -> None:
        """In the transaction of the end; an attempt that others ended tells nothing."""
        if tells_nothing(self.error):
            return
        execution = self._execution
        state = execution.job.state
        if execution.hand_over or state not in (
            JobState.FINISHED, JobState.QUEUED, JobState.FAILED,
        ):  # fmt: skip
            return
        finished = state is JobState.FINISHED
        error = None if finished else self.error
        self._parts.canaries.keep(
            tx,
            Trial(
                canary_id=self._canary.id,
                job_id=execution.job.id,
                kind=TrialKind.SPLIT,
                at=self._parts.clock.now(),
                outcome=Outcome.FINISHED if finished else Outcome.FAILED,
                canary_ms=execution.engine_millis,
                canary_cu_ms=execution.used.get(COMPUTE_CU_MILLIS),
                code=None if error is None else error.code,
                message=None if error is None else error.message,
            ),
        )


def _rescue(parts: Parts, execution: Execution, canary: Canary, tx: Tx) -> None:
    if execution.job.state is JobState.FINISHED:
        parts.canaries.rescued(tx, canary, execution.job)
