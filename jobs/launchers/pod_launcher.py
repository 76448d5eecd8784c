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
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from jobs.launchers.pod_known import Known, Memory
from jobs.launchers.pod_objects import Objects
from jobs.launchers.pod_views import PodView, problem_in
from jobs.launchers.pods import UNLEASED, ClusterSettings, Order, PodSettings, name_of
from jobs.launchers.porters import Porters
from jobs.launchers.problems import Again, Blame, Problem
from jobs.launchers.segments import PART, read_log, read_start
from jobs.launchers.windows import Windows, listens
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import RunId
from storage.objects.api import LinkingStore, ObjectMissingError

log = logging.getLogger(__name__)

_RENEW = 15.0  # seconds between two renewals of engines
_SWEEP = 60.0  # seconds between two looks for what nobody forgot
_STALE = timedelta(minutes=5)  # after the end of an engine of another replica: it is gone for good
_SETTLE = 10.0  # seconds from the end of a container to its node's word on it
_LISTED = 15.0  # seconds for the first list of pods
_HINTED = 2.0  # seconds of waiting after which the events of a pod are looked at, and again
_LOST = timedelta(seconds=60)  # from the cluster's end of a pod to that of our patience with it
_DIES = 10.0  # seconds from the end of a lease to the death of the last process, at most
_SIGNALS = 128


class KubernetesLauncher:
    """Launches in one namespace. ``owner`` is this replica; ``root`` has the copies of folders.

    ``store`` is reached from pods by signed links; pods are given ``connect`` seconds to take a
    connection.
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
        name: str = "kubernetes",
        connect: float = 1.0,
    ) -> None:
        self.place: str | None = name
        self._cluster = cluster
        self._settings = settings
        self._copies = Copies(root=root, store=store)
        self._clock = clock
        self._owner = owner
        self._windows = Windows(connect=connect)
        self._memory = Memory()
        self._lock = threading.Lock()  # guards _collecting
        self._collecting: dict[RunId, threading.Lock] = {}
        self._room = cluster_room.Room(cluster)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        selector = f"{pods.MANAGED}=dli,{pods.INSTALLATION}={settings.installation}"
        self._pods = Watched(cluster, selector, clock)
        self._objects = Objects(
            cluster=cluster,
            watched=self._pods,
            settings=settings,
            owner=owner,
            selector=selector,
            clock=clock,
        )
        self._porters = Porters(
            windows=self._windows,
            token_of=self._objects.token,
            memory=self._memory,
            clock=clock,
        )
        self._made = Made(cluster, self._pods, clock)
        self._swept = clock.monotonic()  # by the tidier alone
        self._stop = threading.Event()
        self._several = ThreadPoolExecutor(max_workers=8, thread_name_prefix="windows")
        # Apart, since an API server that is slow must not make engines end by their lease.
        for name, tick in (("keeper", self._renew_engines), ("tidier", self._tidy)):
            title, args = f"pods-{name}", (tick,)
            threading.Thread(target=self._often, args=args, name=title, daemon=True).start()

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
        if facts.read(self._home(run_id), "order.json") is not None or self._view(run_id):
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
            launched=self._clock.monotonic(),
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
        self._pods.wait_listed(_LISTED)
        return self.status(run_id)

    def status(self, run_id: RunId) -> RunStatus:
        ended = self._copies.ended(run_id)
        if ended is not None:
            return ended
        view = self._view(run_id)
        if view is None:
            return self._unseen(run_id)
        if view.over:
            if not self._made.end(run_id):
                return RunStatus(run_id=run_id, state=RunState.RUNNING)
            return self._collected(view)
        if self._is_lost(view):
            assert view.problem is not None
            self._give_up(run_id, view.problem.code, view.problem)
            return self.status(run_id)
        if self._outlived(view):
            self._give_up(run_id, "lease", _silent())
            return self.status(run_id)
        return self._living(view)

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        view = self._view(run_id)
        if view is None:
            return self._stop_unseen(run_id, reason)
        if view.over or self._outlived(view):
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
                    self._give_up(run_id, known.reason)
            self._made_over_within(run_id, _SETTLE)
        except ApiError as error:
            log.warning("a pod is not told to end", extra={"run": run_id, "reason": error.message})
            raise
        return self.status(run_id)

    def moment(self) -> float:
        return moment()

    def renew(self, run_ids: Iterable[RunId], *, at: float) -> None:
        def renew(run_id: RunId) -> None:
            self._porters.renew(run_id, self._view(run_id), at=at)

        list(self._several.map(renew, run_ids))

    def address(self, run_id: RunId, port: int) -> str | None:
        view = self._view(run_id)
        if view is None or view.ip is None or view.over or not listens(view.ip, port):
            return None
        return f"{view.ip}:{port}"

    def logs(
        self, run_id: RunId, *, stream: LogStream = LogStream.STDOUT, offset: int = 0
    ) -> LogPart:
        home = self._home(run_id)
        order = facts.read(home, "order.json") or {"merged": False, "stdout": None}
        view = self._view(run_id)
        if view is not None and not view.over and facts.read(home, "exited.json") is None:
            name = "output" if order["merged"] else stream.value
            return self._porters.log(view, stream=name, offset=offset)
        if order["merged"]:
            if view is not None and not self._copies.has_log(run_id):
                self._copies.keep_log(run_id, self._objects.log(view.name))
            at, data = read_log(home, "output", offset)
        elif order["stdout"] is not None and stream is LogStream.STDOUT:
            at, data = read_start(order["stdout"], offset)
        else:
            at, data = read_log(home, stream.value, offset)
        return LogPart(offset=at, data=data[:PART])

    def running(self) -> Iterator[RunId]:
        for run_id in self.known():
            if not self.status(run_id).state.ended:
                yield run_id

    def known(self) -> Iterator[RunId]:
        self._pods.wait_listed(_LISTED)
        here = {RunId(path.name) for path in self._copies.root.iterdir()}
        there = {
            view.run_id
            for view in self._pods.all()
            if view.role == pods.JOB or view.owner == self._owner
        }
        yield from sorted(here | there)

    def forget(self, run_id: RunId) -> None:
        view = self._view(run_id)
        if view is not None and not view.over and self._copies.ended(run_id) is None:
            raise ValueError(f"run {run_id} still runs")
        try:
            self._made.release(run_id)
            if view is not None or run_id in self._memory:
                self._objects.clear(name_of(run_id))
            self._copies.drop(run_id)
        except ServiceError as error:  # the keeper or the reaper comes back to it
            log.warning("run not cleared away", extra={"run": run_id, "reason": error.message})
            return
        self._memory.forget(run_id)
        with self._lock:
            self._collecting.pop(run_id, None)
        shutil.rmtree(self._copies.home(run_id), ignore_errors=True)

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
        self._stop.set()
        self._pods.close()
        self._several.shutdown()
        self._windows.close()
        self._cluster.close()

    def _end_at_close(self, run_id: RunId) -> None:
        """A cluster that does not answer keeps nobody from going; leases end what is there."""
        try:
            self.stop(run_id, grace=timedelta(0))
        except ServiceError as error:
            log.warning("an engine is left", extra={"run": run_id, "reason": error.message})

    def _is_lost(self, view: PodView) -> bool:
        """Whether the cluster wants the pod's end for long, and its node does not say that it came.

        What still runs there ends by its lease, which nobody renews any more.
        """
        if view.deleted_at is None or view.problem is None or view.problem.code != "node_lost":
            return False
        return self._clock.now() - view.deleted_at > _LOST

    def _outlived(self, view: PodView) -> bool:
        """Whether nothing is heard of its cluster for so long that its lease has ended the run.

        A pod that begins later does not begin: its porter knows when it was made.
        """
        if view.lease is None or self._pods.connected:
            return False
        known = self._memory.of(view.run_id)
        made = (self._clock.now() - view.created_at).total_seconds()
        return min(made, moment() - known.heard) > view.lease + _DIES

    def _unseen(self, run_id: RunId) -> RunStatus:
        """Without a pod nothing runs, unless the cluster was asked for it and may still make it."""
        known = self._memory.find(run_id)
        if known is None or known.unsure is None:
            return RunStatus(run_id=run_id, state=RunState.GONE)
        if moment() - known.unsure > known.lease + _DIES:
            self._give_up(run_id, known.reason or "lease", _silent())
            return self.status(run_id)
        return RunStatus(run_id=run_id, state=RunState.STARTING, problem=_silent())

    def _stop_unseen(self, run_id: RunId, reason: str) -> RunStatus:
        """Of one that may be there all the same: it is not renewed any more."""
        known = self._memory.find(run_id)
        if known is not None and known.unsure is not None:
            known.reason = known.reason or reason
        return self.status(run_id)

    def _living(self, view: PodView) -> RunStatus:
        known = self._memory.of(view.run_id)
        if view.ready and known.heard < known.asked:  # it began after it was renewed
            self._porters.renew(view.run_id, view, at=known.asked)
        state = RunState.RUNNING if view.ready else RunState.STARTING
        problem = view.problem
        if not view.ready and problem is None:
            problem = self._hint(view)
        used = self._porters.measured(view) if view.ready else {}
        return RunStatus(
            run_id=view.run_id,
            state=state,
            problem=problem,
            pid=used.get("pid"),
            rss_bytes=used.get("rss", 0),
            peak_rss_bytes=used.get("peak", 0),
            cpu_seconds=used.get("cpu", 0.0),
            elapsed_seconds=used.get("elapsed", 0.0),
            made_seconds=self._made.seconds(view.run_id),
            made_problem=self._made.problem(view.run_id),
        )

    def _hint(self, view: PodView) -> Problem | None:
        """What the events say of a pod that does not get on, asked for now and then."""
        known, now = self._memory.of(view.run_id), self._clock.monotonic()
        waited = (self._clock.now() - view.created_at).total_seconds()
        if waited < _HINTED or now - known.hint[0] < _HINTED:
            return known.hint[1]
        selector = f"involvedObject.uid={view.uid},type=Warning"
        try:
            query = {"fieldSelector": selector}
            found = self._cluster.request("GET", self._cluster.of("events"), query=query)["items"]
        except ApiError:
            found = []
        known.hint = (now, problem_in(found))
        return known.hint[1]

    def _collected(self, view: PodView) -> RunStatus:
        """The end of a pod, with what it left brought here; RUNNING while the store is away."""
        with self._lock:
            turn = self._collecting.setdefault(view.run_id, threading.Lock())
        with turn:
            told = self._copies.ended(view.run_id)
            if told is not None:
                return told
            try:
                if view.facts.get("kept"):
                    self._copies.fetch(view.run_id)
            except ObjectMissingError:
                log.error("a run's outputs are not there", extra={"run": view.run_id})
            except ServiceError as error:
                log.warning("no outputs yet", extra={"run": view.run_id, "reason": error.message})
                return RunStatus(run_id=view.run_id, state=RunState.RUNNING)
            self._write_end(view)
        ended = self._copies.ended(view.run_id)
        assert ended is not None
        return ended

    def _write_end(self, view: PodView) -> None:
        known, told = self._memory.of(view.run_id), view.facts
        reason, problem = told.get("reason"), view.problem
        if problem is not None:
            reason = {"out_of_memory": "memory"}.get(problem.code, problem.code)
        if known.reason is not None and (reason == "stopped" or told.get("code") is None):
            reason, problem = known.reason, None
        if reason in {"memory", "deadline", "output"}:
            problem = None  # what every launcher ends runs for
        seen = known.measured[1] | {"elapsed": _lived(view)}
        self._copies.end(
            view.run_id,
            code=told["code"] if "code" in told else _code(view.exit_code),
            reason=reason,
            problem=problem,
            used=seen | {name: told[name] for name in ("elapsed", "cpu", "peak") if name in told},
            made=self._made.seconds(view.run_id),
        )

    def _give_up(self, run_id: RunId, reason: str, problem: Problem | None = None) -> None:
        """A pod whose node is silent: its lease ends it there, and here it is gone."""
        log.error("a pod's node does not answer", extra={"run": run_id})
        self._copies.end(
            run_id,
            code=None,
            reason=reason,
            problem=problem,
            used=self._memory.of(run_id).measured[1],
            made=self._made.seconds(run_id),
        )

    def _over_within(self, run_id: RunId, seconds: float) -> bool:
        name = name_of(run_id)

        def over() -> bool:
            view = self._pods.get_held(name)
            return view is None or view.over

        with self._pods.changed:
            return self._pods.changed.wait_for(over, seconds)

    def _made_over_within(self, run_id: RunId, seconds: float) -> bool:
        """Whether nothing lives any more of what an ended run made; it is told to end."""
        if self._made.end(run_id):
            return True
        with self._pods.changed:
            return self._pods.changed.wait_for(lambda: not self._made.living(run_id), seconds)

    def _often(self, tick: Callable[[], None]) -> None:
        while not self._stop.wait(_RENEW):
            try:
                tick()
            except ServiceError as error:
                log.warning("pods not kept", extra={"reason": error.message})
            except Exception:  # the outermost of a thread: without it engines would end
                log.exception("pods not kept")

    def _renew_engines(self) -> None:
        """What has no lease of its own."""
        self.renew(self._memory.engines(), at=moment())

    def _tidy(self) -> None:
        """Clear away what nobody else will."""
        self._made.sweep(self._memory.engines(), self._is_here)
        if self._clock.monotonic() - self._swept >= _SWEEP:
            self._swept = self._clock.monotonic()
            self.sweep()

    def sweep(self) -> int:
        """Clear away engines of replicas that are gone, and secrets without a pod; how many.

        What is known of runs that have no pod any more goes as well.
        """
        done = 0
        self._memory.prune(self._is_here)
        engines = self._memory.engines()
        long_ago = self._clock.now() - _STALE
        for view in self._pods.all():
            ours = view.owner == self._owner and view.run_id in engines
            foreign = view.role == pods.ENGINE and not ours
            if foreign and view.over and (view.finished_at or view.created_at) < long_ago:
                self._objects.clear(view.name)
                done += 1
        return done + self._objects.clear_secrets(before=long_ago.isoformat()[:19])

    def clear_all(self) -> int:
        """End and clear away every run of this installation, finalizers included; how many."""
        self._pods.wait_listed(_LISTED)
        views = self._pods.all()
        for view in views:
            self._objects.delete(view.name, grace=0)
            self._objects.unfinalize(view.name)
            self._objects.quietly_delete("secrets", view.name)
        return len(views) + self.sweep()

    def _is_here(self, run_id: RunId) -> bool:
        return self._view(run_id) is not None

    def _view(self, run_id: RunId) -> PodView | None:
        return self._pods.get(name_of(run_id))

    def _home(self, run_id: RunId) -> str:
        return str(self._copies.home(run_id))


def open_launcher(
    cluster: ClusterSettings,
    settings: PodSettings,
    *,
    root: Path,
    store: LinkingStore,
    clock: Clock,
    owner: str,
) -> KubernetesLauncher:
    """A launcher for that cluster. Raises ``ClusterConfigError``."""
    return KubernetesLauncher(
        Cluster(cluster), settings, root=root, store=store, clock=clock, owner=owner
    )


def _silent() -> Problem:
    return Problem(
        code="cluster_unavailable",
        message="the cluster does not answer, and what it ran has ended by its lease",
        blame=Blame.PLATFORM,
        again=Again.NOW,
    )


def _code(exit_code: int | None) -> int | None:
    """As our launchers tell it: minus the number of the signal."""
    if exit_code is None or exit_code <= _SIGNALS:
        return exit_code
    return _SIGNALS - exit_code


def _lived(view: PodView) -> float:
    """Seconds, by the node's clock, which tells whole ones."""
    if view.started_at is None or view.finished_at is None:
        return 0.0
    return max((view.finished_at - view.started_at).total_seconds(), 0.0)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
