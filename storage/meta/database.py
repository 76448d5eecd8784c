"""The metadata database: SQLite or PostgreSQL, as equals."""

from __future__ import annotations

from sqlalchemy.engine import Connection

Tx = Connection
