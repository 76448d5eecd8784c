"""Names of things: a short prefix that tells the kind, then a ULID, so that ids sort by time."""

from __future__ import annotations

import os
import threading
from datetime import datetime
from typing import NewType

ProjectId = NewType("ProjectId", str)  #: prj_…, or a chosen name for the first one: "default"
UserId = NewType("UserId", str)  #: usr_…
TableId = NewType("TableId", str)  #: tbl_…
SnapshotId = NewType("SnapshotId", str)  #: snp_…
JobId = NewType("JobId", str)  #: stm_… for statements
CanaryId = NewType("CanaryId", str)  #: cny_…
RunId = NewType("RunId", str)  #: run_…: anything that a launcher started

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_lock = threading.Lock()
_last = 0


def new_id(prefix: str, at: datetime) -> str:
    """``prefix``, an underscore and 26 characters that sort by ``at``.

    Ids made by one process in the same millisecond sort in the order in which they were made.
    """
    global _last  # noqa: PLW0603  one counter for the process is what keeps the order
    fresh = (int(at.timestamp() * 1000) << 80) | int.from_bytes(os.urandom(10))
    with _lock:
        _last = fresh if (fresh >> 80) > (_last >> 80) else max(fresh, _last + 1)
        number = _last
    return f"{prefix}_" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
