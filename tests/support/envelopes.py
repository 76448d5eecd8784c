"""Envelopes of statements as the API's contract shows them."""

from __future__ import annotations

from typing import Any

STATEMENT_ID = "stm_01jcv0000000000000000000aa"


def envelope(state: str = "finished", **changes: object) -> dict[str, Any]:
    """A statement in ``state``; a finished one has two rows, a price and a bill."""
    price = {"amount": "0.000265000", "currency": "USD"}
    body: dict[str, Any] = {
        "id": STATEMENT_ID,
        "kind": "statement",
        "statement_type": "query",
        "state": state,
        "terminal": state in {"finished", "failed", "cancelled"},
        "project": "default",
        "queue": "default",
        "database": "tpch",
        "labels": {},
        "engine": {"name": "sail", "version": "0.7.2", "reason": "queue default"},
        "created_at": "2026-11-21T09:00:00.123Z",
        "ended_at": None,
        "estimate": {
            "bytes_processed": 58412345,
            "exactness": "exact",
            "rows": {"low": 1, "likely": 4, "high": 4},
            "cu_seconds": {"low": 0.3, "likely": 0.9, "high": 2.7},
            "price": price,
            "tables": [
                {
                    "name": "tpch.lineitem",
                    "snapshot": "snp_1",
                    "files": 3,
                    "files_kept": 1,
                    "partitions_kept": None,
                }
            ],
        },
        "wait": None,
        "timings_ms": {"execute": 31.0, "total": 42.0},
        "progress": {"rows": 0, "bytes": 0, "fraction": None},
        "result": None,
        "usage": {},
        "bill": None,
        "error": None,
        "history": [{"state": "queued", "at": "2026-11-21T09:00:00.123Z"}],
        "links": {"self": f"/api/v1/statements/{STATEMENT_ID}"},
    }
    if state == "finished":
        body["result"] = {
            "schema": [
                {"name": "flag", "type": "string", "nullable": True},
                {"name": "total", "type": "decimal(15,2)", "nullable": True},
            ],
            "rows": 2,
            "bytes": 100,
            "truncated": False,
            "expires_at": "2026-11-28T09:00:00Z",
            "chunks": [{"index": 0, "rows": 2, "bytes": 100, "sha256": "00"}],
            "inline": [["A", "37734107.00"], [None, "1.50"]],
        }
        body["bill"] = price | {"lines": []}
    return body | changes
