"""What an attempt at a statement does: on an engine if it computes, else in the catalog."""

from __future__ import annotations

from jobs.execution.execution import Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.statements.catalog_work import run_in_catalog
from jobs.statements.engine_work import run_on_engine


def run_statement(parts: Parts, execution: Execution) -> Outcome:
    """The outcome, not yet to be seen. Raises ``ServiceError``."""
    work = run_on_engine if execution.plan.kind.computes else run_in_catalog
    return work(parts, execution)
