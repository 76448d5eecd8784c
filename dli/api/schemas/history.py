"""Requests and answers about what programs and statements used before."""

from __future__ import annotations

from pydantic import Field

from dli.api.schemas.fields import Body, Reply, Size
from dli.api.schemas.jobs import PastReply


class NextSizeBody(Body):
    """The size of runs that name none."""

    cores: int = Field(1, ge=1, le=256)
    memory: Size = Field(description="Of the whole job.")


class NextSizeReply(Reply):
    cores: int
    memory_bytes: int
    reason: str
    set: bool = Field(description="Somebody said so; else it follows from `past`.")


class HistoryReply(Reply):
    """What is known of one program or statement of the project."""

    fingerprint: str
    next: NextSizeReply | None = Field(
        description="What a run gets that names no size; null: the default. Statements have none."
    )
    past: list[PastReply] = Field(description="Its last attempts, newest first.")
