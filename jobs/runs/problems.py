"""What a run's problem means for its attempt: the error, and whether another attempt follows."""

from __future__ import annotations

from typing import Any, TypeVar

from jobs.execution.runner import AttemptFailedError
from jobs.launchers.problems import Again, Problem
from jobs.lifecycle.events import Fault

E = TypeVar("E", bound=AttemptFailedError)

_FAULTS = {
    Again.NEVER: Fault.USER,
    Again.LARGER: Fault.MEMORY,
    Again.LATER: Fault.PLATFORM,
    Again.NOW: Fault.PLATFORM,
}


class RunNotStartedError(AttemptFailedError):
    """The place where runs live did not start this one; ``reason`` in the details says why."""

    code = "run_not_started"


class RunLostError(AttemptFailedError):
    """The place where runs live ended this one, or lost it; ``reason`` in the details says why."""

    code = "run_lost"


def not_started(problem: Problem) -> RunNotStartedError:
    """The error of a run that never began."""
    return _told(RunNotStartedError, "the run was not started", problem)


def lost(problem: Problem) -> RunLostError:
    """The error of a run that ended by none of our doing."""
    return _told(RunLostError, "the run was ended", problem)


def _told(kind: type[E], what: str, problem: Problem) -> E:
    details: dict[str, Any] = problem.details()
    message = f"{what}: {problem.message}"
    return kind(message, fault=_FAULTS[problem.again], hint=problem.hint, **details)
