"""Tables of who may do what. A token's secret is never in them, only its hash."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import UtcDateTime

projects = Table(
    "projects",
    METADATA,
    Column("id", String(64), primary_key=True),  # the chosen name
    Column("description", String(500)),
    Column("created_at", UtcDateTime, nullable=False),
)

users = Table(
    "users",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("administrator", Boolean, nullable=False),  # of the whole service
    Column("created_at", UtcDateTime, nullable=False),
)

grants = Table(
    "grants",
    METADATA,
    Column("user_id", String(40), ForeignKey("users.id"), primary_key=True),
    Column("project_id", String(64), ForeignKey("projects.id"), primary_key=True),
    Column("role", String(16), nullable=False),
)

tokens = Table(
    "tokens",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("user_id", String(40), ForeignKey("users.id"), nullable=False),
    Column("project_id", String(64), ForeignKey("projects.id")),  # NULL: all of the user's
    Column("role", String(16), nullable=False),  # at most this, whatever the user may do
    Column("name", String(128), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of a 240-bit secret
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Index("tokens_by_project", "project_id"),
)
