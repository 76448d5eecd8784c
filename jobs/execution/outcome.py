"""What an attempt came to, before anybody can see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from storage.meta.database import Tx
from storage.results.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result, and what else to do in the transaction that shows it.

    ``manifest`` is of the rows of a statement, ``facts`` is what other kinds came to: JSON.
    """

    manifest: Manifest | None = None
    commit: Callable[[Tx], object] | None = None
    facts: Mapping[str, Any] | None = None
