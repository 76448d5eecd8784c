"""What an attempt came to, before anybody can see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from storage.meta.database import Tx
from storage.results.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result, and what to do to the catalog in the transaction that shows it."""

    manifest: Manifest
    commit: Callable[[Tx], object] | None = None
