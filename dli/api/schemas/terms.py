"""What every kind of job may ask for."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dli.api.schemas.fields import Body, MoneyText, Span, span_field
from jobs.accepting import LABEL_NAME, LONGEST_LABEL, MOST_LABELS
from jobs.lifecycle.events import Fault

LabelName = Annotated[str, StringConstraints(pattern=f"^{LABEL_NAME.pattern}$")]
LabelValue = Annotated[str, StringConstraints(max_length=LONGEST_LABEL)]


class RetryBody(Body):
    """When another attempt follows a failed one."""

    attempts: int = Field(3, ge=1, le=10, description="The first one counts.")
    pause: Span = span_field(
        timedelta(seconds=1), "Before the second; doubles with each further one."
    )
    on: list[Fault] = Field(
        default_factory=lambda: [Fault.PLATFORM, Fault.MEMORY],
        description="`platform`: the service or a machine; `out_of_memory`; `user`: the program.",
    )


class LeaseBody(Body):
    """A job that ends when its client goes away: `POST /jobs/{id}/renew` keeps it."""

    ttl: Span = Field(description="How long the client may be silent.")
    on_expire: Literal["cancel"] = "cancel"


class TermsBody(Body):
    """Fields that every kind of job takes."""

    queue: str | None = Field(None, description="Where to wait; `default` if not given.")
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict,
        max_length=MOST_LABELS,
        description="Your own names; usage can be grouped by.",
    )
    max_cost: MoneyText | None = Field(
        None, description="Most money that it may cost; refused before it runs if it costs more."
    )
    timeout: Span | None = Field(None, description="Cancelled after this time.")
    priority: int | None = Field(
        None, ge=-1000, le=1000, description="Higher starts first; the queue's if not given."
    )
    retry: RetryBody | None = Field(None, description="The service's policy if not given.")
    lease: LeaseBody | None = Field(None, description="Cancel the job when its client goes away.")
