"""Named places at which tests kill the service, to see that nothing is lost or done twice.

A place does nothing unless the environment variable ``DLI_CRASH_POINT`` names it. Then the process
kills itself there as ``kill -9`` would: no handler runs, no buffer is written. ``name:3`` means: at
the third time that the place is passed.
"""

from __future__ import annotations

import itertools
import os
import signal

VARIABLE = "DLI_CRASH_POINT"

#: In the order of a statement's life.
STATEMENT_POINTS = (
    "before_submit",  # prepared, nothing is kept
    "in_submit_before_commit",
    "after_submit",  # kept and claimed, no worker has it
    "after_claim",  # the worker has it
    "before_engine",  # about to ask for an engine
    "after_engine",  # the engine is there
    "after_bind",  # its tables are bound
    "mid_execute",  # the first rows came
    "after_execute",  # all rows came, or all files are written
    "before_publish",  # the result's objects are written
    "in_publish_before_commit",  # the finishing transaction is open
    "after_commit",  # finished, nobody was told
    "in_write_before_commit",  # a write's new files are in the open finishing transaction
    "before_cancelled",  # the work of a cancelled job has stopped
)
#: Beside the first four, in the order of the life of a batch or a task.
RUN_POINTS = (
    "after_intent",  # a batch's or task's run is on record, nothing is launched
    "before_launch",  # its files are in its folder
    "after_launch",  # its process may live
    "run_started",  # its start is on record
    "run_goes_on",  # at a look at the living run
    "run_ended",  # its end was seen, nothing is on record
    "before_adoption",  # another life of the service found the run
    "after_adoption",  # the job is its own now
)
#: Of what happens by itself.
AUTOMATION_POINTS = (
    "after_firing_rows",  # due times are on record, nothing of them is submitted
    "after_firing_submit",  # the job is kept, the row of its firing does not know
    "after_delivery",  # a target took a notification, its row does not know
)
PIPELINE_POINTS = (
    "pipeline_before_submit",  # a node's attempt is on record, its job is not submitted
    "pipeline_after_submit",  # its job is kept, the node's row does not know
    "pipeline_node_ended",  # the end of a node is on record
    "backfill_before_submit",  # a day's attempt is on record, its run is not submitted
)
POINTS = STATEMENT_POINTS + RUN_POINTS + AUTOMATION_POINTS + PIPELINE_POINTS

_WANTED = os.environ.get(VARIABLE)  # once: a look costs more than the rest of the place
_passed = itertools.count(1)


def crash_point(name: str) -> None:
    """Die here if this place is the named one."""
    if _WANTED is None:
        return
    place, _, times = _WANTED.partition(":")
    if place == name and next(_passed) >= int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)
