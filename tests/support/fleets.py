"""Several clusters for tests: folders of this machine, one of which may fall silent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from jobs.launchers.api import (
    Asked,
    Capacity,
    LaunchError,
    LaunchRefusedError,
    RunSpec,
    RunStatus,
)
from jobs.launchers.fleet import Fleet
from jobs.launchers.local import LocalLauncher
from jobs.launchers.problems import Again, Blame, Problem
from storage.base.ids import RunId

GIB = 2**30
_SILENT = Problem(
    code="cluster_unavailable",
    message="the cluster does not answer",
    blame=Blame.PLATFORM,
    again=Again.LATER,
)


class Site(LocalLauncher):
    """A machine of its own size that can be cut off: then it starts nothing, and says so."""

    def __init__(self, root: Path, *, cores: int = 8, gib: int = 64, place: str | None = None):
        super().__init__(root)
        self.place = place
        self.silent = False
        self.deaf = False  #: what is told to end does not hear it
        self.started: list[RunId] = []
        self._size = Capacity(cpu_millis=cores * 1000, memory_bytes=gib * GIB)

    def launch(self, spec: RunSpec) -> RunStatus:
        if self.silent:
            raise LaunchRefusedError(_SILENT)
        self.started.append(spec.run_id)
        return super().launch(spec)

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        if self.deaf:
            raise LaunchError("the cluster does not answer")
        return super().stop(run_id, grace=grace, reason=reason)

    def capacity(self) -> Capacity:
        return self._size

    def requests(self) -> Mapping[Asked, int]:
        return {Asked("create", "pods", "201"): len(self.started)}

    def answers(self) -> bool:
        return not self.silent


def make_fleet(
    root: Path, *, place: str | None = None, **sizes: int
) -> tuple[Fleet, dict[str, Site]]:
    """Clusters of so many cores; ``default`` has 8 where none is given. All were looked at.

    With a ``place`` several replicas share them.
    """
    sites = {
        name: Site(root / name, cores=cores, place=place)
        for name, cores in {"default": 8, **sizes}.items()
    }
    fleet = Fleet(sites)
    fleet.look()
    return fleet, sites
