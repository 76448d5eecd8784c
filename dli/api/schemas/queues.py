"""Requests and answers about queues."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dli.api.schemas.fields import MOST_NUMBER, Body, MoneyText, Reply, Size, Span
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.queues.definitions import QueueState


class QueuePodsBody(Body):
    """What a queue says of pods, as a whole; of no meaning where nothing runs in pods."""

    min_executors: int = Field(
        1, description="Executors that its Spark engine keeps while it lives."
    )
    max_executors: int | None = Field(
        None,
        description="Most of them; 0: the driver computes by itself. null: as the settings say.",
    )
    executor_cores: int | None = Field(None, description="Cores of each.")
    executor_memory: Size | None = Field(None, description="Memory of each.")
    image: str | None = Field(
        None, description="Image of its pods; only administrators of the service set it."
    )
    template: dict[str, Any] = Field(
        default_factory=dict,
        description="A pod in Kubernetes' own form, merged with those of engines, drivers and "
        "tasks; only administrators of the service set it.",
    )
    executor_template: dict[str, Any] = Field(
        default_factory=dict, description="Likewise, for executors."
    )
    clusters: dict[str, int] = Field(
        default_factory=dict,
        description="Clusters in which it runs to their weights, 1 to 1000: `{eu: 3, us: 1}`; "
        "none: in all, as equals. Only administrators of the service set them.",
    )


class QueueChanges(Body):
    """What to change; what is not named stays, null means: no limit of the queue's own."""

    state: QueueState | None = Field(
        None,
        description="`draining`: takes no new jobs, those that wait still start. `closed`: starts "
        "none either; those that wait are kept.",
    )
    kinds: list[JobKind] | None = Field(None, description="Kinds of jobs that it takes.")
    default_engine: EngineName | None = None
    engines: list[EngineName] | None = Field(
        None, description="Engines that statements may ask for."
    )
    conf_allowed: list[str] | None = Field(
        None, description="Settings of Spark that batches may give; `*` stands for any characters."
    )
    max_running: int | None = Field(None, description="Jobs that compute at the same time.")
    max_running_per_user: int | None = Field(None, description="Of one user, likewise.")
    max_waiting: int | None = Field(None, description="One more is refused with 429.")
    min_cu: int | None = Field(None, description="Compute units that are kept warm.")
    max_cu: int | None = Field(
        None,
        description="Compute units at the same time: each engine once, others by their cores.",
    )
    min_priority: int | None = Field(None, description="Least priority of a job, from -100.")
    max_priority: int | None = Field(None, description="Highest priority of a job, to 100.")
    default_priority: int | None = Field(None, description="Of jobs that name none.")
    timeout: Span | None = Field(None, description="For jobs that name none.")
    max_timeout: Span | None = Field(
        None, description="The most that a job may ask for; `timeout` if not set."
    )
    overcommit: int | None = Field(
        None, description="Per cent of its reservation that a job may use; 200 reserves half."
    )
    weight: int | None = Field(
        None,
        description="Its share where not all can run; only administrators of the service set it.",
    )
    user_weights: dict[str, int] | None = Field(
        None,
        description="User to weight, 1 to 1000: who has 3 gets three times the part of one with 1, "
        "the default, where not all can run. Names or ids of users of the project; replaces all.",
    )
    pods: QueuePodsBody | None = Field(None, description="Of its pods; replaces all.")
    guard_levels: dict[str, str] | None = Field(
        None, description="Guard rule to `off`, `warn` or `refuse`; replaces all."
    )
    max_bytes: Size | None = Field(None, description="Most bytes of one statement.")
    max_cost: MoneyText | None = Field(None, description="Most money of one job.")
    monthly_budget: MoneyText | None = Field(
        None, description="Most money of its jobs in a UTC month."
    )
    price_class: str | None = None
    version: int | None = Field(
        None, ge=1, le=MOST_NUMBER, description="Refused with 409 if the queue is past it."
    )


class QueueBody(QueueChanges):
    """A queue to create; limits that are not named have defaults."""

    name: str


class UserLoadReply(Reply):
    user: str
    name: str = Field(description="The user's name.")
    weight: int = Field(description="Of the user in this queue.")
    running: int
    waiting: int


class LoadReply(Reply):
    """What the queue does now, over all replicas."""

    running: int = Field(description="Jobs that compute.")
    waiting: int
    cu: float = Field(description="Compute units in use.")
    users: list[UserLoadReply]


class QueueReply(Reply):
    name: str
    state: QueueState
    kinds: list[JobKind]
    default_engine: EngineName
    engines: list[EngineName]
    conf_allowed: list[str]
    max_running: int
    max_running_per_user: int | None
    max_waiting: int
    min_cu: int
    max_cu: int | None
    min_priority: int
    max_priority: int
    default_priority: int
    timeout: str
    max_timeout: str
    overcommit: int
    weight: int
    user_weights: dict[str, int] = Field(description="By names of users.")
    pods: QueuePodsBody
    guard_levels: dict[str, str]
    max_bytes: int | None
    max_cost: str | None
    monthly_budget: str | None
    price_class: str
    version: int
    load: LoadReply | None = Field(None, description="Only where one queue is asked for.")


class QueuesPage(Reply):
    items: list[QueueReply]
    next_cursor: str | None
