"""What a result consists of. The rows themselves are in the chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

Bytes = bytes  # within the values below, ``bytes`` is a count


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows, as one Arrow IPC stream compressed with zstd; an object, or kept in the row.

    ``bytes`` and ``sha256`` are of the stream as it is stored. Exactly one of ``key`` and ``data``
    is set.
    """

    index: int  #: from 0, in the order of the rows
    rows: int
    bytes: int
    sha256: str
    key: str | None = None
    data: Bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole result. ``bytes`` is the sum over the chunks; no rows means no chunks.

    ``preview`` holds the first rows in wire form, up to 1 MiB of JSON.
    """

    schema: pa.Schema
    rows: int
    bytes: int
    truncated: bool
    truncated_by: str | None  #: "rows" or "bytes": which limit was met, None if none
    chunks: tuple[Chunk, ...]
    preview: Sequence[Sequence[Any]]
    expires_at: datetime | None = None  #: None until it is saved
