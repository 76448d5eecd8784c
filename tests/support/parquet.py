"""Parquet files on a disk for tests, and an opener for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from storage.objects.api import ObjectInfo


def write(path: Path, data: pa.Table | Mapping[str, Sequence[Any]], **options: Any) -> Path:
    """Write ``data`` as Parquet at ``path``, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = data if isinstance(data, pa.Table) else pa.table(dict(data))
    pq.write_table(table, path, **options)
    return path


def info(path: Path) -> ObjectInfo:
    """The file as a listing tells it, with its plain path as key."""
    return ObjectInfo(key=str(path), size=path.stat().st_size, etag="e")


def open_path(key: str, _size: int) -> BinaryIO:
    """Open what ``info`` names."""
    return Path(key).open("rb")
