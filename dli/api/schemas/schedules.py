"""Requests and answers about schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from dli.api.schemas.automation import JobDocument
from dli.api.schemas.fields import MOST_NUMBER, Body, Reply, Span
from jobs.schedules.spec import Missed, Overlap


class ScheduleChanges(Body):
    """What to change; what is not named stays. A rule is replaced as a whole."""

    cron: str | None = Field(
        None, description="Five fields or `@daily` and the like.", examples=["0 3 * * 1-5"]
    )
    timezone: str | None = Field(
        None, description="Of `cron` and of an `at` without offset; UTC if not given.",
        examples=["Europe/Berlin"],
    )  # fmt: skip
    every: Span | None = Field(None, description="At least 1s; counted from `start` or from now.")
    at: datetime | None = Field(None, description="Once, then.")
    job: JobDocument | None = None
    missed: Missed | None = Field(
        None, description="What becomes of due times at which the service was away; `latest`."
    )
    missed_most: int | None = Field(
        None, ge=1, le=1000, description="How many of them `all` makes up for; the newest."
    )
    overlap: Overlap | None = Field(
        None, description="What happens while an earlier job has not ended; `allow`."
    )
    jitter: Span | None = Field(
        None, description="Up to so much later, by chance but always the same for a due time."
    )
    start: datetime | None = Field(None, description="Nothing is due before.")
    end: datetime | None = Field(None, description="Nothing is due then or later.")
    version: int | None = Field(
        None, ge=1, le=MOST_NUMBER, description="Refused with 409 if the schedule is past it."
    )


class ScheduleBody(ScheduleChanges):
    """A schedule to create: one of `cron`, `every` and `at`, and a job."""

    name: str
    job: JobDocument
    paused: bool = False
    version: None = None


class ScheduleReply(Reply):
    id: str
    name: str
    cron: str | None
    timezone: str | None
    every: str | None
    at: str | None
    job: dict[str, Any]
    missed: Missed
    missed_most: int
    overlap: Overlap
    jitter: str
    start: str | None
    end: str | None
    paused: bool
    author: str = Field(description="The user who wrote it last; jobs run in that name.")
    version: int
    next_due: str | None = Field(description="null: nothing is due any more, or it is paused.")
    next_at: str | None = Field(description="`next_due` and its jitter.")
    created_at: str
    updated_at: str


class SchedulesPage(Reply):
    items: list[ScheduleReply]
    next_cursor: str | None


class NextTimes(Reply):
    """Due times to come, in UTC and as the clocks of the schedule's zone show them."""

    items: list[NextTime]


class NextTime(Reply):
    due_at: str
    local: str
