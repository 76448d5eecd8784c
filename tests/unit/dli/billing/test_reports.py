"""Reports add up to the bills, however they are grouped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from dli.billing.allowance import PricedAllowance
from dli.billing.pricebook import read_price_book
from dli.billing.reports import DIMENSIONS, InvalidGroupingError, UsageLine, usage_report
from dli.identity.projects import ensure_user
from dli.metering.ledger import UsageLedger
from jobs.store.rows import job_labels, jobs
from jobs.usage import COMPUTE_CU_MILLIS, SCAN_BYTES, UsageRecord
from storage.base.clock import ManualClock
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database, Tx

START = datetime(2026, 1, 31, tzinfo=UTC)
END = START + timedelta(days=10)
GIB = 2**30


def end_job(
    tx: Tx,
    number: int,
    *,
    project: str = "default",
    queue: str = "default",
    at: datetime = START,
    billed: bool = True,
    team: str | None = None,
) -> None:
    """A job that read one GiB per its number, and is over."""
    job_id, project_id = JobId(f"stm_{number}"), ProjectId(project)
    user_id = ensure_user(tx, "ann", at=at)
    tx.execute(
        insert(jobs).values(
            id=job_id, project_id=project, user_id=user_id, kind="statement", queue=queue,
            engine="sail", spec={}, summary={}, state="finished" if billed else "failed",
            version=5, attempt=1, max_attempts=3, created_at=at, ended_at=at,
        )
    )  # fmt: skip
    if team is not None:
        tx.execute(
            insert(job_labels).values(job_id=job_id, name="team", project_id=project, value=team)
        )
    quantities = {SCAN_BYTES: number * GIB, COMPUTE_CU_MILLIS: 10}
    allowance = PricedAllowance(read_price_book(), ManualClock(at))
    quote = allowance.quote(price_class="standard", quantities=quantities, at=at)
    allowance.reserve(tx, job_id=job_id, project_id=project_id, quote=quote, cap=None)
    allowance.settle(tx, job_id=job_id, project_id=project_id, quote=quote, billable=billed)
    records = [
        UsageRecord(
            job_id=job_id, project_id=project_id, attempt=1, meter=meter, quantity=amount, at=at
        )
        for meter, amount in quantities.items()
    ]
    UsageLedger().record(tx, records)


@pytest.fixture
def ended(database: Database) -> Database:
    """Three jobs in January, one in February, one failed, one in another project."""
    with database.transaction() as tx:
        end_job(tx, 1, team="red")
        end_job(tx, 2, queue="batch", team="blue")
        end_job(tx, 3, at=START + timedelta(hours=23, minutes=59))
        end_job(tx, 4, at=START + timedelta(days=1))
        end_job(tx, 5, billed=False)
        end_job(tx, 6, project="other")
    return database


def report(
    database: Database, *group_by: str, project: str | None = "default"
) -> tuple[UsageLine, ...]:
    with database.read() as tx:
        return usage_report(
            tx,
            project_id=None if project is None else ProjectId(project),
            start=START,
            end=END,
            group_by=group_by,
            currency="USD",
        )


def sizes(lines: tuple[UsageLine, ...], name: str) -> dict[str | None, int]:
    """GiB by the value of one dimension."""
    found: dict[str | None, int] = {}
    for line in lines:
        key = line.group[name]
        found[key] = found.get(key, 0) + line.bytes_processed // GIB
    return found


@pytest.mark.parametrize("name", [*DIMENSIONS, "label:team"])
def test_every_grouping_has_the_same_sums(ended: Database, name: str) -> None:
    lines = report(ended, name)
    assert sum(line.statements for line in lines) == 5
    assert sum(line.bytes_processed for line in lines) == 15 * GIB
    assert sum(line.cu_milliseconds for line in lines) == 50
    price = read_price_book().entry(meter=SCAN_BYTES, price_class="standard", at=START)
    assert price is not None
    owed = sum(price.price.of(number * GIB).nanos for number in (1, 2, 3, 4))
    assert sum(line.amount.nanos for line in lines) == owed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("day", {"2026-01-31": 11, "2026-02-01": 4}),
        ("month", {"2026-01": 11, "2026-02": 4}),
        ("queue", {"default": 13, "batch": 2}),
        ("user", {"ann": 15}),
        ("engine", {"sail": 15}),
        ("project", {"default": 15}),
        ("label:team", {"red": 1, "blue": 2, None: 12}),
        ("state", {"finished": 10, "failed": 5}),
    ],
)
def test_groups_have_their_jobs(
    ended: Database, name: str, expected: dict[str | None, int]
) -> None:
    assert sizes(report(ended, name), name) == expected


def test_two_dimensions_are_one_group(ended: Database) -> None:
    groups = [line.group for line in report(ended, "month", "queue")]
    assert {"month": "2026-01", "queue": "batch"} in groups


def test_all_projects_are_there_only_when_asked(ended: Database) -> None:
    assert sizes(report(ended, "project", project=None), "project") == {"default": 15, "other": 6}
    assert sizes(report(ended, "project", project="other"), "project") == {"other": 6}


def test_nothing_used_gives_no_line(database: Database) -> None:
    assert report(database) == ()


@pytest.mark.parametrize("name", ["sql", "label:", "", "day; drop table jobs"])
def test_an_unknown_grouping_is_refused(database: Database, name: str) -> None:
    with pytest.raises(InvalidGroupingError, match="cannot be grouped"):
        report(database, name)
