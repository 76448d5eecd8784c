"""Answers that were given to POSTs with a key, so that a repeat does nothing twice."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

#: ``status`` NULL: the first request is under way, or died. Statements keep keys of their own.
api_replies = Table(
    "api_replies",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer),
    Column("body", Json),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)
