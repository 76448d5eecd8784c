"""What can be wrong with a pipeline, its runs and its backfills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.base.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
)

_MOST = 5  # of what is wrong, in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, by its place in the file: ``nodes.load.needs``."""

    field: str
    message: str
    hint: str | None = None


class PipelineInvalidError(InvalidInputError):
    """The text of a pipeline cannot be one; ``errors`` in the details name every place."""

    code = "pipeline_invalid"

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> PipelineInvalidError:
        """All faults as one error."""
        told = "; ".join(f"{each.field}: {each.message}" for each in faults[:_MOST])
        more = len(faults) - _MOST
        return cls(
            f"{told}; and {more} more" if more > 0 else told,
            hint=next((each.hint for each in faults if each.hint), None),
            errors=[
                {"field": each.field, "message": each.message, "hint": each.hint} for each in faults
            ],
        )


class PipelineMissingError(NotFoundError):
    """There is no such pipeline in the project."""

    code = "pipeline_not_found"


class RevisionMissingError(NotFoundError):
    """The pipeline has no such revision."""

    code = "pipeline_revision_not_found"


class PipelineChangedError(ConflictError):
    """Somebody else applied another text just now."""

    code = "pipeline_changed"
    retryable = True


class ParameterInvalidError(InvalidInputError):
    """A run lacks a parameter, has one too many, or one of another type."""

    code = "pipeline_parameter_invalid"


class RunNotResumableError(ConflictError):
    """The run goes on, has finished, or is none of a pipeline."""

    code = "pipeline_run_not_resumable"


class PipelineFailedError(RefusedError):
    """A node of the run failed; ``nodes`` in the details name those that did."""

    code = "pipeline_failed"


class PipelineDeepError(RefusedError):
    """A pipeline that runs itself, or too many that run each other."""

    code = "pipeline_too_deep"


class ValueMissingError(InvalidInputError):
    """A reference or a condition asks for what a node did not give, or of another type."""

    code = "pipeline_value_missing"


class PipelineCapError(RefusedError):
    """A node would take the run above its cap in money."""

    code = "pipeline_cap_exceeded"


class BackfillMissingError(NotFoundError):
    """The pipeline has no such backfill."""

    code = "backfill_not_found"


class BackfillInvalidError(InvalidInputError):
    """A backfill that cannot be: its dates, its parameter or its bounds."""

    code = "backfill_invalid"


class BackfillStateError(ConflictError):
    """A backfill that goes on is not resumed, and one that ended is not cancelled."""

    code = "backfill_state"
