"""Where engines and batches run, as far as who plans them must know: paths, ports, what is near."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.engines.errors import EngineCannotReadError
from jobs.engines.executors import DriverPod, ExecutorGround, Executors, options
from jobs.engines.executors import confs as driver_confs
from jobs.engines.ports import free_port
from jobs.launchers.api import PodOptions

ENGINE_PORT = 15002  #: Spark Connect's own
STATUS_PORT = 4040  #: of Spark's pages, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """By default this machine. ``python`` has the service's packages."""

    python: Path = field(default_factory=lambda: Path(sys.executable))
    #: runs have an address of their own, where others reach them, and see no file of this machine
    pods: bool = False
    executors: ExecutorGround | None = None  #: None: no driver can have any

    @property
    def listens(self) -> str:
        """The address that servers bind."""
        return "0.0.0.0" if self.pods else "127.0.0.1"  # noqa: S104  a pod's network is its own

    def port(self, usual: int) -> int:
        """Where a server listens: ``usual``, or one that is free on this machine now."""
        return usual if self.pods else free_port()


HERE = Ground()
#: Of a driver that computes alone in its pod: nobody else has to do with its inner ports.
_SECLUDED = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What a driver is told of the place where it runs. ``master`` None: it computes itself."""

    master: str | None = None
    confs: Mapping[str, str] = field(default_factory=dict)
    pod: PodOptions | None = None


def place(
    ground: Ground, pod: PodOptions, driver: DriverPod, executors: Executors | None
) -> Placed:
    """For a driver on that ground, which may have ``executors`` if there are any there."""
    if not ground.pods:
        return Placed()
    if executors is None or ground.executors is None:
        return Placed(confs=_SECLUDED, pod=pod)
    return Placed(
        master=ground.executors.master,
        confs=driver_confs(driver, executors, ground.executors),
        pod=options(pod, driver, executors, ground.executors),
    )


def require_near(uri: str, ground: Ground, *, engine: str) -> None:
    """Raise ``EngineCannotReadError`` for a file of this machine where engines cannot see it."""
    if ground.pods and uri.startswith("file://"):
        raise EngineCannotReadError(
            f"engines run in pods, which do not see {uri}",
            hint="put the files into a bucket that the settings name",
            engine=engine,
        )
