"""What is known of one program, and who has the last word on its size."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.history.book import (
    HistoryMissingError,
    HistorySizeInvalidError,
    SetSize,
    next_size,
    read,
    set_size,
    unset_size,
)
from jobs.history.store import FINISHED, Observation, note
from jobs.lifecycle.spec import JobKind, Size
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.database import Database, Tx
from tests.support.jobs import NOW, PROJECT

GIB = 2**30
PRINT = "ab" * 32
LARGE = SetSize(size=Size(cores=2, memory_bytes=6 * GIB), user_id=UserId("usr_1"), at=NOW)


def _ran(tx: Tx, peak: int = GIB) -> None:
    note(
        tx,
        Observation(
            job_id=JobId("bat_1"), attempt=1, project_id=PROJECT, queue="default",
            fingerprint=PRINT, kind=JobKind.BATCH, outcome=FINISHED, at=NOW,
            wall=timedelta(seconds=9), peak_memory=peak, cpu_millis=1000, memory_bytes=4 * GIB,
        ),
    )  # fmt: skip


def test_what_is_set_counts_before_what_was_used(database: Database) -> None:
    with database.transaction() as tx:
        _ran(tx)
        found = next_size(tx, PROJECT, PRINT)
        assert found is not None
        assert (found.size, found.said) == (Size(cores=1, memory_bytes=2 * GIB), False)
        set_size(tx, PROJECT, PRINT, LARGE)
        set_size(tx, PROJECT, PRINT, LARGE)
        known = read(tx, PROJECT, PRINT)
        assert known.next == next_size(tx, PROJECT, PRINT)
        assert known.next is not None
        assert (known.next.size, known.next.said) == (LARGE.size, True)
        assert (known.set, len(known.past)) == (LARGE, 1)
        unset_size(tx, PROJECT, PRINT)
        unset_size(tx, PROJECT, PRINT)
        assert next_size(tx, PROJECT, PRINT) == found


def test_work_that_never_ran_here_is_unknown(database: Database) -> None:
    with database.transaction() as tx:
        _ran(tx)
        for project, fingerprint in ((ProjectId("other"), PRINT), (PROJECT, "cd" * 32)):
            assert next_size(tx, project, fingerprint) is None
            with pytest.raises(HistoryMissingError):
                read(tx, project, fingerprint)
            with pytest.raises(HistoryMissingError):
                set_size(tx, project, fingerprint, LARGE)


@pytest.mark.parametrize(("cores", "memory"), [(0, GIB), (257, GIB), (1, GIB // 128), (1, 2 << 40)])
def test_a_size_that_no_job_can_have_is_refused(
    database: Database, cores: int, memory: int
) -> None:
    wrong = SetSize(size=Size(cores=cores, memory_bytes=memory), user_id=UserId("usr_1"), at=NOW)
    with database.transaction() as tx:
        _ran(tx)
        with pytest.raises(HistorySizeInvalidError):
            set_size(tx, PROJECT, PRINT, wrong)
