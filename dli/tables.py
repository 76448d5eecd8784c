"""Every module that declares tables, so that ``METADATA`` is whole wherever this is imported."""

from __future__ import annotations

from dli.api import rows as api
from dli.billing import rows as billing
from dli.identity import rows as identity
from dli.metering import rows as metering
from jobs import files
from jobs.access import store as access
from jobs.canaries import rows as canaries
from jobs.firings import rows as firings
from jobs.history import rows as history
from jobs.notices import rows as notices
from jobs.pipelines import rows as pipelines
from jobs.schedules import rows as schedules
from jobs.store import rows as jobs
from jobs.store import run_rows as runs
from jobs.triggers import rows as triggers
from storage.catalog import rows as catalog
from storage.meta.schema import METADATA
from storage.results import rows as results
from storage.tables import rows as tables

ROWS = (
    access,
    api,
    billing,
    canaries,
    files,
    identity,
    metering,
    history,
    jobs,
    runs,
    catalog,
    results,
    tables,
    firings,
    notices,
    pipelines,
    schedules,
    triggers,
)

__all__ = ["METADATA", "ROWS"]
