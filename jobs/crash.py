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

#: Every place, in the order of a statement's life.
POINTS = (
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
    "before_cancelled",  # the work of a cancelled statement has stopped
)

_passed = itertools.count(1)


def crash_point(name: str) -> None:
    """Die here if this place is the named one."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, _, times = wanted.partition(":")
    if place == name and next(_passed) >= int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)
