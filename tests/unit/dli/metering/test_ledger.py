"""Usage counts once."""

from __future__ import annotations

from dataclasses import replace

from dli.metering.ledger import UsageLedger, usage_of
from jobs.usage import COMPUTE_CU_MILLIS, SCAN_BYTES, UsageRecord
from storage.base.clock import ManualClock
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database

SCAN = UsageRecord(
    job_id=JobId("stm_1"),
    project_id=ProjectId("default"),
    attempt=1,
    meter=SCAN_BYTES,
    quantity=2**62,
    at=ManualClock().now(),
)


def test_the_same_record_twice_counts_once(database: Database) -> None:
    for _ in range(2):
        with database.transaction() as tx:
            UsageLedger().record(tx, (SCAN, replace(SCAN, quantity=7)))
    with database.read() as tx:
        assert usage_of(tx, [SCAN.job_id]) == {SCAN.job_id: {SCAN_BYTES: 2**62}}


def test_attempts_add_up_and_meters_do_not_mix(database: Database) -> None:
    engine = replace(SCAN, meter=COMPUTE_CU_MILLIS, quantity=100)
    with database.transaction() as tx:
        UsageLedger().record(tx, (SCAN, engine, replace(engine, attempt=2, quantity=11)))
        UsageLedger().record(tx, ())
    with database.read() as tx:
        found = usage_of(tx, [SCAN.job_id, JobId("stm_2")])
    assert found == {SCAN.job_id: {SCAN_BYTES: 2**62, COMPUTE_CU_MILLIS: 111}}
