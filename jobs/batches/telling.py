"""What a program says of itself with ``dli_batch.tell``, read and checked: nobody trusts a program.

The file is JSON, of which each field may be missing: ``{"rows": 10, "value": {"type": "date",
"value": "2026-01-31"}, "uris": {"report": "s3://lake/report"}}``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jobs.batches.errors import BatchOutputError
from jobs.lifecycle.events import Fault

TOLD = "told.json"  #: in the folder of ``dli_batch.py``
_LARGEST = 256 << 10  # bytes
_MOST_URIS = 1000
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "bigint": int,
    "double": (int, float),
    "boolean": bool,
    "date": str,
    "timestamp": str,
}


def read_told(path: Path) -> dict[str, Any]:
    """``rows``, ``value`` and ``uris`` as far as they were told; empty where nothing was.

    Raises ``BatchOutputError`` for what is none of these.
    """
    if path.is_symlink() or not path.is_file():
        return {}
    if path.stat().st_size > _LARGEST:
        raise _wrong(f"it is larger than {_LARGEST >> 10} KiB")
    try:
        told = json.loads(path.read_bytes())
    except ValueError as error:
        raise _wrong("it is no JSON") from error
    if not isinstance(told, dict) or not set(told) <= {"rows", "value", "uris"}:
        raise _wrong("it has fields beside rows, value and uris")
    found = {name: value for name, value in told.items() if value is not None}
    _check(found)
    return found


def _check(told: dict[str, Any]) -> None:
    rows = told.get("rows", 0)
    if not isinstance(rows, int) or isinstance(rows, bool) or not 0 <= rows < 2**63:
        raise _wrong("rows is no number of rows")
    uris = told.get("uris", {})
    if not isinstance(uris, dict) or len(uris) > _MOST_URIS:
        raise _wrong(f"uris are at most {_MOST_URIS} addresses by name")
    if not all(isinstance(uri, str) and "://" in uri for uri in uris.values()):
        raise _wrong("one of uris is no address, such as s3://lake/report")
    if "value" in told:
        _check_value(told["value"])


def _check_value(value: object) -> None:
    if not isinstance(value, dict) or set(value) != {"type", "value"}:
        raise _wrong("value has a type and a value")
    kind, given = _TYPES.get(value["type"]), value["value"]
    if kind is None:
        raise _wrong(f"the type of value is none of {', '.join(_TYPES)}")
    truth = isinstance(given, bool) and value["type"] != "boolean"
    if given is not None and (truth or not isinstance(given, kind)):
        raise _wrong(f"value is no {value['type']}")


def _wrong(why: str) -> BatchOutputError:
    return BatchOutputError(
        f"what the program told of itself cannot be used: {why}",
        hint="call dli_batch.tell, which writes it as it must be",
        fault=Fault.USER,
    )
