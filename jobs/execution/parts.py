"""What running a statement needs, made elsewhere and handed down as one value."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.canaries.canaries import Canaries
from jobs.canaries.shadows import Shadows
from jobs.changes import Changes
from jobs.clusters import Clusters
from jobs.engines.pool import EnginePool
from jobs.execution.ending import Ending
from jobs.launchers.api import Launcher
from jobs.lifecycle.retry import Backoff
from jobs.settings import JobSettings
from storage.base.clock import Clock
from storage.catalog.catalog import Catalog
from storage.meta.database import Database
from storage.objects.api import ObjectStore
from storage.results.results import Results
from storage.tables.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one replica, called ``replica`` in the rows that it owns."""

    replica: str
    database: Database
    clock: Clock
    catalog: Catalog
    tables: Tables
    results: Results
    store: ObjectStore  #: where results go
    pool: EnginePool
    launcher: Launcher
    ending: Ending
    changes: Changes
    canaries: Canaries
    shadows: Shadows
    settings: JobSettings
    clusters: Clusters | None = None  #: of the launcher; None: they are not told apart

    @property
    def backoff(self) -> Backoff:
        """The pause before another attempt."""
        return Backoff(pause=self.settings.retry_pause)
