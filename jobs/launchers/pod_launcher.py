"""Runs as pods of a Kubernetes cluster, which any replica can see, adopt and end.

A pod is a local run's folder and warden in a container: the porter in it (``jobs/launchers/pod``)
fetches what the run needs from the object store, watches it, and leaves there what it made. The
folder here has the same shape and is only a copy: what goes in before the launch, and what came out
after the end. All that is true of a run is in the pod and in the store.

The API server is asked as little as can be: a run is made by two calls (secret, pod) and cleared
away by three (finalizer, pod, secret); all pods are followed by one watch. What is wanted of a
run that lives goes to the pod directly, through its window.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from jobs.launchers import cluster_room, facts, pods
from jobs.launchers.api import (
    Asked,
    Capacity,
    LaunchError,
    LogPart,
    LogStream,
    RunExistsError,
    RunSpec,
    RunState,
    RunStatus,
)
from jobs.launchers.cluster import ApiError, Cluster, Watched
from jobs.launchers.identity import moment
from jobs.launchers.made import Made
from jobs.launchers.pod_copies import Copies
from jobs.launchers.pod_ends import Ends
from jobs.launchers.pod_known import Known, Memory
from jobs.launchers.pod_logs import Logs
from jobs.launchers.pod_objects import Objects
from jobs.launchers.pod_statuses import Statuses
from jobs.launchers.pod_upkeep import Upkeep
from jobs.launchers.pods import UNLEASED, Order, PodSettings, name_of
from jobs.launchers.porters import Porters
from jobs.launchers.windows import Windows, listens
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import RunId
from storage.objects.api import LinkingStore

log = logging.getLogger(__name__)

_SETTLE = 10.0  # seconds from the end of a container to its node's word on it
_LISTED = 15.0  # seconds for the first list of pods


class KubernetesLauncher:
    """Launches in one namespace. ``owner`` is this replica; ``root`` has the copies of folders.

    ``store`` is reached from pods by signed links.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: PodSettings,
        *,
        root: Path,
        store: LinkingStore,
        clock: Clock,
        owner: str,
    ) -> None:
        self.place: str | None = "kubernetes"
        self._cluster = cluster
        self._copies = Copies(root=root, store=store)
        self._clock = clock
        self._owner = owner
        self._windows = Windows()
        self._memory = Memory()
        self._room = cluster_room.Room(cluster)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        selector = f"{pods.MANAGED}=dli,{pods.INSTALLATION}={settings.installation}"
        self._watched = Watched(cluster, selector, clock)
        self._objects = Objects(
            cluster=cluster, watched=self._watched, settings=settings, owner=owner,
            selector=selector, clock=clock,
        )  # fmt: skip
        self._porters = Porters(
            windows=self._windows, token_of=self._objects.token, memory=self._memory, clock=clock
        )
        self._made = Made(cluster, self._watched, clock)
        self._ends = Ends(copies=self._copies, memory=self._memory, made=self._made)
        self._statuses = Statuses(
            watched=self._watched,
            objects=self._objects,
            porters=self._porters,
            copies=self._copies,
            memory=self._memory,
            made=self._made,
            ends=self._ends,
            clock=clock,
        )
        self._logs = Logs(
            watched=self._watched,
            objects=self._objects,
            porters=self._porters,
            copies=self._copies,
            memory=self._memory,
            clock=clock,
        )
        self._several = ThreadPoolExecutor(max_workers=8, thread_name_prefix="windows")
        self._upkeep = Upkeep(
            watched=self._watched,
            objects=self._objects,
            memory=self._memory,
            made=self._made,
            renew=self.renew,
            clock=clock,
        )

    @property
    def calls(self) -> Mapping[str, int]:
        """How often the API server was asked since the start, by method."""
        return dict(self._cluster.calls)

    def directory(self, run_id: RunId) -> Path:
        return self._copies.home(run_id) / "work"

    def prepare(self, run_id: RunId) -> Path:
        directory = self.directory(run_id)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LaunchError(f"cannot make {directory}: {error.strerror}") from error
        if facts.read(self._home(run_id), "order.json") is not None or self._watched.pod_of(run_id):
            raise RunExistsError(f"run {run_id} was launched before")
        return directory

    def launch(self, spec: RunSpec) -> RunStatus:
        directory = self.prepare(spec.run_id)
        if spec.directory != directory:
            raise ValueError(f"this run's directory is {directory}, not {spec.directory}")
        order = {"merged": spec.merged, "stdout": _text(spec.stdout)}
        try:
            if not facts.claim(self._home(spec.run_id), "order.json", order):
                raise RunExistsError(f"run {spec.run_id} was launched before")
        except OSError as error:
            raise LaunchError(f"cannot write down a run: {error.strerror}") from error
        token = secrets.token_urlsafe(32)
        inputs = self._copies.send(spec)
        age = 0.0 if spec.renewed_at is None else max(moment() - spec.renewed_at, 0.0)
        wanted = Order(
            token=token,
            lease=spec.lease or UNLEASED,
            age=age,
            made=self._clock.now().timestamp(),
            inputs=inputs,
            outputs=self._copies.way_back(spec),
        )
        known = Known(
            token=token,
            engine=spec.lease is None,
            lease=wanted.lease.total_seconds(),
            heard=moment() - age,
        )
        if not self._objects.create(spec, wanted):
            known.unsure = known.heard
        self._memory.keep(spec.run_id, known)
        log.info("run launched", extra={"run": spec.run_id, "labels": dict(spec.labels)})
        return RunStatus(run_id=spec.run_id, state=RunState.STARTING)

    def adopt(self, run_id: RunId) -> RunStatus:
        self._watched.wait_listed(_LISTED)
        return self.status(run_id)

    def status(self, run_id: RunId) -> RunStatus:
        return self._statuses.of(run_id)

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        view = self._watched.pod_of(run_id)
        if view is None:
            return self._stop_unseen(run_id, reason)
        if view.over or self._statuses.outlived(view):
            return self.status(run_id)
        known = self._memory.of(run_id)
        known.reason = known.reason or reason
        seconds = grace.total_seconds()
        try:
            if not self._porters.stop(view, reason=known.reason, grace=seconds):
                self._objects.delete(view.name, grace=math.ceil(seconds))
            if not self._over_within(run_id, seconds + _SETTLE):
                log.error("a pod does not end", extra={"run": run_id})
                self._objects.delete(view.name, grace=0)
                if not self._over_within(run_id, _SETTLE):
                    self._ends.give_up(run_id, known.reason)
            self._made.end_within(run_id, _SETTLE)
        except ApiError as error:
            log.warning("a pod is not told to end", extra={"run": run_id, "reason": error.message})
            raise
        return self.status(run_id)

    def moment(self) -> float:
        return moment()

    def renew(self, run_ids: Iterable[RunId], *, at: float) -> None:
        def renew(run_id: RunId) -> None:
            self._porters.renew(run_id, self._watched.pod_of(run_id), at=at)

        list(self._several.map(renew, run_ids))

    def address(self, run_id: RunId, port: int) -> str | None:
        view = self._watched.pod_of(run_id)
        if view is None or view.ip is None or view.over or not listens(view.ip, port):
            return None
        return f"{view.ip}:{port}"

    def logs(
        self, run_id: RunId, *, stream: LogStream = LogStream.STDOUT, offset: int = 0
    ) -> LogPart:
        return self._logs.read(run_id, stream=stream, offset=offset)

    def running(self) -> Iterator[RunId]:
        for run_id in self.known():
            if not self.status(run_id).state.ended:
                yield run_id

    def known(self) -> Iterator[RunId]:
        self._watched.wait_listed(_LISTED)
        here = {RunId(path.name) for path in self._copies.root.iterdir()}
        there = {
            view.run_id
            for view in self._watched.all()
            if view.role == pods.JOB or view.owner == self._owner
        }
        yield from sorted(here | there)

    def forget(self, run_id: RunId) -> None:
        view = self._watched.pod_of(run_id)
        if view is not None and not view.over and self._copies.ended(run_id) is None:
            raise ValueError(f"run {run_id} still runs")
        try:
            self._made.release(run_id)
            if view is not None or run_id in self._memory:
                self._objects.clear(name_of(run_id))
            with self._memory.of(run_id).turn:  # nobody brings meanwhile what is dropped
                self._copies.drop(run_id)
        except ServiceError as error:  # the keeper or the reaper comes back to it
            log.warning("run not cleared away", extra={"run": run_id, "reason": error.message})
            return
        self._memory.forget(run_id)

    def capacity(self) -> Capacity:
        return self._room.capacity()

    def answers(self) -> bool:
        return self._cluster.answers()

    def requests(self) -> Mapping[Asked, int]:
        return self._cluster.asked

    def close(self) -> None:
        ours = self._memory.engines()
        living = [run_id for run_id in ours if not self.status(run_id).state.ended]
        list(self._several.map(self._end_at_close, living))
        self._upkeep.close()
        self._watched.close()
        self._several.shutdown()
        self._windows.close()
        self._cluster.close()

    def _end_at_close(self, run_id: RunId) -> None:
        """A cluster that does not answer keeps nobody from going; leases end what is there."""
        try:
            self.stop(run_id, grace=timedelta(0))
        except ServiceError as error:
            log.warning("an engine is left", extra={"run": run_id, "reason": error.message})

    def _stop_unseen(self, run_id: RunId, reason: str) -> RunStatus:
        """Of one that may be there all the same: it is not renewed any more."""
        known = self._memory.find(run_id)
        if known is not None and known.unsure is not None:
            known.reason = known.reason or reason
        return self.status(run_id)

    def _over_within(self, run_id: RunId, seconds: float) -> bool:
        def over() -> bool:
            view = self._watched.pod_of(run_id)
            return view is None or view.over

        return self._watched.wait_for(over, seconds)

    def _home(self, run_id: RunId) -> str:
        return str(self._copies.home(run_id))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
