"""Statements sent to a Spark Connect server, of whatever engine, past the service."""

from __future__ import annotations

import uuid
from typing import Any

from jobs.engines.connect.client import ConnectClient
from jobs.engines.connect.dialect import Dialect

PLAIN = Dialect(name="plain", address=lambda uri: uri, quoted_views=False, partition_folders=False)


def asked(address: str, *texts: str) -> list[dict[str, Any]]:
    """The rows of the last statement; all run in one session."""
    client = ConnectClient(address, PLAIN)
    session = client.open_session()
    rows: list[dict[str, Any]] = []
    try:
        for text in texts:
            batches = session.execute(text, operation_id=str(uuid.uuid4()))
            rows = [row for batch in batches for row in batch.to_pylist()]
    finally:
        session.release()
        client.close()
    return rows
