"""Requests and answers about queues."""

from __future__ import annotations

from pydantic import Field

from dli.api.schemas.fields import Body, MoneyText, Reply, Size, Span
from jobs.lifecycle.spec import EngineName


class QueueChanges(Body):
    """Limits to change; what is not named stays, null means: no limit of the queue's own."""

    default_engine: EngineName | None = None
    max_running: int | None = Field(None, description="Statements that compute at the same time.")
    max_waiting: int | None = Field(None, description="One more is refused with 429.")
    max_cu: int | None = Field(None, description="Compute units of its engines at the same time.")
    timeout: Span | None = Field(None, description="For statements that name none, and the most.")
    guard_levels: dict[str, str] | None = Field(
        None, description="Guard rule to `off`, `warn` or `refuse`; replaces all."
    )
    max_bytes: Size | None = Field(None, description="Most bytes of one statement.")
    max_cost: MoneyText | None = Field(None, description="Most money of one statement.")
    price_class: str | None = None
    version: int | None = Field(None, description="Refused with 409 if the queue is past it.")


class QueueBody(QueueChanges):
    """A queue to create; limits that are not named have defaults."""

    name: str


class QueueReply(Reply):
    name: str
    default_engine: EngineName
    max_running: int
    max_waiting: int
    max_cu: int | None
    timeout: str
    guard_levels: dict[str, str]
    max_bytes: int | None
    max_cost: str | None
    price_class: str
    version: int


class QueuesPage(Reply):
    items: list[QueueReply]
    next_cursor: str | None
