"""Requests and answers about clusters."""

from __future__ import annotations

from pydantic import Field

from dli.api.schemas.fields import Body, Reply


class ClusterChanges(Body):
    drained: bool = Field(description="Whether nothing new starts there.")


class AmountsReply(Reply):
    cores: float
    memory_bytes: int


class ClusterReply(Reply):
    name: str
    answers: bool = Field(description="Whether its API server did when it was asked last.")
    drained: bool
    drained_at: str | None
    drained_by: str | None = Field(description="The user who said so.")
    capacity: AmountsReply | None = Field(
        description="What it gives to runs and engines; null: it has not answered yet, or shows "
        "neither its nodes nor a quota."
    )
    used: AmountsReply = Field(
        description="What runs and engines there have set aside. An engine is counted with all the "
        "cores that it may use, and engines share cores: more may be used than there are."
    )
    runs: int = Field(description="Runs of batches and tasks.")
    engines: int


class ClustersPage(Reply):
    items: list[ClusterReply]
    next_cursor: str | None
