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
import os
import secrets
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.launchers import cluster_room, facts, pods
from jobs.launchers.api import (
    Capacity,
    LaunchError,
    LaunchRefusedError,
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
from jobs.launchers.pod.tars import Tar, below, unpack
from jobs.launchers.pod_views import PodView, problem_in, refusal
from jobs.launchers.pods import UNLEASED, ClusterSettings, Order, PodSettings, name_of
from jobs.launchers.problems import Again, Blame, Problem
from jobs.launchers.segments import PART, read_log, read_start
from jobs.launchers.windows import WindowClosedError, Windows, listens
from storage.base.clock import Clock
from storage.base.errors import ServiceError
from storage.base.ids import RunId
from storage.objects.api import LinkingStore, ObjectMissingError
from storage.objects.ranges import RangeFile

log = logging.getLogger(__name__)

_RENEW = 15.0  # seconds between two renewals of engines
_SWEEP = 60.0  # seconds between two looks for what nobody forgot
_STALE = timedelta(minutes=5)  # after the end of an engine of another replica: it is gone for good
_SETTLE = 10.0  # seconds from the end of a container to its node's word on it
_LISTED = 15.0  # seconds for the first list of pods
_MEASURED = 0.2  # seconds for which a measurement is good
_SHUT = 3.0  # seconds for which a window that did not answer is not asked again
_HINTED = 2.0  # seconds of waiting after which the events of a pod are looked at, and again
_LOST = timedelta(seconds=60)  # from the cluster's end of a pod to that of our patience with it
_DIES = 10.0  # seconds from the end of a lease to the death of the last process, at most
_LINK = timedelta(days=7)  # the longest that a signature allows
_BLOCK = 8 << 20
_MISSING, _TAKEN = 404, 409
_UNKNOWN = frozenset({0, 504})  # what is known of a request then: nothing
_SIGNALS = 128


@dataclass(slots=True)
class _Known:
    """What this replica knows of a run beside its pod. Never of importance after a crash."""

    token: str | None = None
    launched: float = 0.0
    engine: bool = False
    lease: float = 0.0  # seconds
    unsure: float | None = None  # the moment of a launch of which nobody knows whether it was heard
    asked: float = float("-inf")  # the moment from which its lease counts, as we were told
    heard: float = float("-inf")  # and as the run knows
    reason: str | None = None  # that it was told to end for
    measured: tuple[float, dict[str, Any]] = (float("-inf"), {})
    shut_until: float = float("-inf")
    hint: tuple[float, Problem | None] = (float("-inf"), None)


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
        self._root = root
        self._store = store
        self._clock = clock
        self._owner = owner
        self._windows = Windows(connect=connect)
        self._lock = threading.Lock()  # guards _known and _collecting
        self._known: dict[RunId, _Known] = {}
        self._collecting: dict[RunId, threading.Lock] = {}
        self._room = cluster_room.Room(cluster)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        selector = f"{pods.MANAGED}=dli,{pods.INSTALLATION}={settings.installation}"
        self._selector = selector
        self._pods = Watched(cluster, selector, clock)
        self._made = Made(cluster, self._pods, clock)
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="pods-keeper", daemon=True)
        self._keeper.start()
        self._several = ThreadPoolExecutor(max_workers=8, thread_name_prefix="windows")

    @property
    def calls(self) -> Mapping[str, int]:
        """How often the API server was asked since the start, by method."""
        return dict(self._cluster.calls)

    def directory(self, run_id: RunId) -> Path:
        return self._root / run_id / "work"

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
        inputs = self._send(spec)
        age = 0.0 if spec.renewed_at is None else max(moment() - spec.renewed_at, 0.0)
        wanted = Order(
            token=token,
            lease=spec.lease or UNLEASED,
            age=age,
            made=self._clock.now().timestamp(),
            inputs=inputs,
            outputs=self._link(spec.run_id, "out.tar", "PUT") if _leaves(spec) else None,
        )
        known = _Known(
            token=token,
            launched=self._clock.monotonic(),
            engine=spec.lease is None,
            lease=wanted.lease.total_seconds(),
            heard=moment() - age,
        )
        if not self._create(spec, wanted):
            known.unsure = known.heard
        with self._lock:
            self._known[spec.run_id] = known
        log.info("run launched", extra={"run": spec.run_id, "labels": dict(spec.labels)})
        return RunStatus(run_id=spec.run_id, state=RunState.STARTING)

    def adopt(self, run_id: RunId) -> RunStatus:
        self._pods.wait_listed(_LISTED)
        return self.status(run_id)

    def status(self, run_id: RunId) -> RunStatus:
        ended = self._told_end(run_id)
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
        known = self._known_of(run_id)
        known.reason = known.reason or reason
        seconds = grace.total_seconds()
        try:
            if not self._tell_stop(view, known.reason, seconds):
                self._delete(view.name, grace=math.ceil(seconds))
            if not self._over_within(run_id, seconds + _SETTLE):
                log.error("a pod does not end", extra={"run": run_id})
                self._delete(view.name, grace=0)
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
        list(self._several.map(lambda run_id: self._renew(run_id, at), run_ids))

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
            return self._live_log(view, "output" if order["merged"] else stream.value, offset)
        if order["merged"]:
            if view is not None and not _has_log(home):
                self._fetch_log(view)
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
        here = {RunId(path.name) for path in self._root.iterdir()}
        there = {
            view.run_id
            for view in self._pods.all()
            if view.role == pods.JOB or view.owner == self._owner
        }
        yield from sorted(here | there)

    def forget(self, run_id: RunId) -> None:
        view = self._view(run_id)
        if view is not None and not view.over and self._told_end(run_id) is None:
            raise ValueError(f"run {run_id} still runs")
        try:
            self._made.release(run_id)
            if view is not None or run_id in self._known:
                self._clear(name_of(run_id))
            for key in (self._key(run_id, "in.tar"), self._key(run_id, "out.tar")):
                self._store.delete(key)
        except ServiceError as error:  # the keeper or the reaper comes back to it
            log.warning("run not cleared away", extra={"run": run_id, "reason": error.message})
            return
        with self._lock:
            self._known.pop(run_id, None)
            self._collecting.pop(run_id, None)
        shutil.rmtree(self._home(run_id), ignore_errors=True)

    def capacity(self) -> Capacity:
        return self._room.capacity()

    def answers(self) -> bool:
        return self._cluster.answers()

    def close(self) -> None:
        with self._lock:
            ours = [run_id for run_id, known in self._known.items() if known.engine]
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

    def _create(self, spec: RunSpec, order: Order) -> bool:
        """The secret, then the pod; what was made goes again if the rest is refused.

        False where the pod's request may have been heard, but was not answered.
        """
        name = name_of(spec.run_id)
        made = pods.secret(spec, order, self._settings, owner=self._owner)
        self._post("secrets", made, spec.run_id)
        try:
            manifest = pods.pod(spec, self._settings, owner=self._owner)
            self._pods.put(self._post("pods", manifest, spec.run_id))
        except (LaunchError, RunExistsError) as error:
            cause = error.__cause__
            if isinstance(cause, ApiError) and cause.asked and cause.status in _UNKNOWN:
                log.warning("a pod may be there", extra={"run": spec.run_id})
                return False
            if not isinstance(error, RunExistsError):
                self._quietly("DELETE", "secrets", name)
            raise
        return True

    def _post(self, kind: str, manifest: pods.Manifest, run_id: RunId) -> pods.Manifest:
        try:
            made: pods.Manifest = self._cluster.request("POST", self._cluster.of(kind), manifest)
        except ApiError as error:
            if error.status == _TAKEN and "already exists" in error.message:
                raise RunExistsError(f"run {run_id} was launched before") from error
            raise LaunchRefusedError(refusal(error.status, error.message)) from error
        return made

    def _send(self, spec: RunSpec) -> str | None:
        """Keep what lies in the run's folder for its pod; a link to it, None for an empty one."""
        if not any(spec.directory.iterdir()):
            return None
        work = str(spec.directory)
        with tempfile.NamedTemporaryFile(dir=spec.directory.parent, suffix=".tar") as packed:
            packed.writelines(Tar(below(work, work)))
            packed.flush()
            self._store.put_file(self._key(spec.run_id, "in.tar"), Path(packed.name))
        return self._link(spec.run_id, "in.tar", "GET")

    def _link(self, run_id: RunId, name: str, method: str) -> str:
        return self._store.link(self._key(run_id, name), method=method, lasts=_LINK)

    def _key(self, run_id: RunId, name: str) -> str:
        return f"runs/{run_id}/{name}"

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
        known = self._known_of(view.run_id)
        made = (self._clock.now() - view.created_at).total_seconds()
        return min(made, moment() - known.heard) > view.lease + _DIES

    def _unseen(self, run_id: RunId) -> RunStatus:
        """Without a pod nothing runs, unless the cluster was asked for it and may still make it."""
        with self._lock:
            known = self._known.get(run_id)
        if known is None or known.unsure is None:
            return RunStatus(run_id=run_id, state=RunState.GONE)
        if moment() - known.unsure > known.lease + _DIES:
            self._give_up(run_id, known.reason or "lease", _silent())
            return self.status(run_id)
        return RunStatus(run_id=run_id, state=RunState.STARTING, problem=_silent())

    def _stop_unseen(self, run_id: RunId, reason: str) -> RunStatus:
        """Of one that may be there all the same: it is not renewed any more."""
        with self._lock:
            known = self._known.get(run_id)
        if known is not None and known.unsure is not None:
            known.reason = known.reason or reason
        return self.status(run_id)

    def _living(self, view: PodView) -> RunStatus:
        known = self._known_of(view.run_id)
        if view.ready and known.heard < known.asked:  # it began after it was renewed
            self._renew(view.run_id, known.asked)
        state = RunState.RUNNING if view.ready else RunState.STARTING
        problem = view.problem
        if not view.ready and problem is None:
            problem = self._hint(view)
        used = self._measured(view) if view.ready else {}
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

    def _measured(self, view: PodView) -> dict[str, Any]:
        """What the porter says; what it said last where it is silent."""
        known, now = self._known_of(view.run_id), self._clock.monotonic()
        if now - known.measured[0] < _MEASURED:
            return known.measured[1]

        def ask(address: str, token: str) -> dict[str, Any]:
            return self._windows.status(address, token)

        told = self._through(view, ask)
        used = known.measured[1] if told is None or "cpu" not in told else told
        known.measured = (now, used)
        return used

    def _hint(self, view: PodView) -> Problem | None:
        """What the events say of a pod that does not get on, asked for now and then."""
        known, now = self._known_of(view.run_id), self._clock.monotonic()
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
            told = self._told_end(view.run_id)
            if told is not None:
                return told
            try:
                if view.facts.get("kept"):
                    self._fetch(view.run_id)
            except ObjectMissingError:
                log.error("a run's outputs are not there", extra={"run": view.run_id})
            except ServiceError as error:
                log.warning("no outputs yet", extra={"run": view.run_id, "reason": error.message})
                return RunStatus(run_id=view.run_id, state=RunState.RUNNING)
            self._write_end(view)
        ended = self._told_end(view.run_id)
        assert ended is not None
        return ended

    def _fetch(self, run_id: RunId) -> None:
        """Unpack the outputs; the word of the end is written by us, when all else is here."""
        key, home = self._key(run_id, "out.tar"), Path(self._home(run_id))
        size = self._store.stat(key).size

        def part(start: int, length: int) -> bytes:
            return self._store.get(key, start=start, length=length)

        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        ours = {"order.json"} if (home / "order.json").exists() else set()
        source = RangeFile(part, size)
        with tarfile.open(fileobj=source, mode="r|", bufsize=_BLOCK) as tar:
            unpack(tar, str(home), without={"exited.json", *ours})

    def _write_end(self, view: PodView) -> None:
        known, told = self._known_of(view.run_id), view.facts
        reason, problem = told.get("reason"), view.problem
        if problem is not None:
            reason = {"out_of_memory": "memory"}.get(problem.code, problem.code)
        if known.reason is not None and (reason in {None, "stopped"} or not told):
            reason, problem = known.reason, None
        if reason in {"memory", "deadline", "output"}:
            problem = None  # what every launcher ends runs for
        end = {
            "code": told["code"] if "code" in told else _code(view.exit_code),
            "reason": reason,
            "problem": None if problem is None else asdict(problem),
            "elapsed": told.get("elapsed", _lived(view)),
            "cpu": told.get("cpu", known.measured[1].get("cpu", 0.0)),
            "peak": told.get("peak", known.measured[1].get("peak", 0)),
            "made": self._made.seconds(view.run_id),
        }
        Path(self._home(view.run_id)).mkdir(parents=True, exist_ok=True, mode=0o700)
        facts.write(self._home(view.run_id), "exited.json", end)

    def _told_end(self, run_id: RunId) -> RunStatus | None:
        """The end as it is written down here."""
        end = facts.read(self._home(run_id), "exited.json")
        if end is None:
            return None
        problem = end["problem"] and Problem(
            code=end["problem"]["code"],
            message=end["problem"]["message"],
            blame=Blame(end["problem"]["blame"]),
            again=Again(end["problem"]["again"]),
        )
        return RunStatus(
            run_id=run_id,
            state=RunState.GONE if end["code"] is None else RunState.EXITED,
            exit_code=end["code"],
            reason=end["reason"],
            problem=problem,
            peak_rss_bytes=end["peak"],
            cpu_seconds=end["cpu"],
            elapsed_seconds=end["elapsed"],
            made_seconds=end.get("made", 0.0),
        )

    def _give_up(self, run_id: RunId, reason: str, problem: Problem | None = None) -> None:
        """A pod whose node is silent: its lease ends it there, and here it is gone."""
        log.error("a pod's node does not answer", extra={"run": run_id})
        end: dict[str, Any] = {"code": None, "reason": reason, "elapsed": 0.0}
        end["problem"] = None if problem is None else asdict(problem)
        used = self._known_of(run_id).measured[1]
        end |= {"cpu": used.get("cpu", 0.0), "peak": used.get("peak", 0)}
        end["elapsed"] = used.get("elapsed", 0.0)
        end["made"] = self._made.seconds(run_id)
        Path(self._home(run_id)).mkdir(parents=True, exist_ok=True, mode=0o700)
        facts.write(self._home(run_id), "exited.json", end)

    def _tell_stop(self, view: PodView, reason: str, grace: float) -> bool:
        """Tell the porter, which is a second faster than the node; false if it does not hear."""

        def tell(address: str, token: str) -> bool:
            self._windows.stop(address, token, reason=reason, grace=grace)
            return True

        return view.ready and self._through(view, tell) is True

    def _renew(self, run_id: RunId, at: float) -> None:
        view, known = self._view(run_id), self._known_of(run_id)
        known.asked = max(known.asked, at)
        if known.reason is not None:
            return  # it was told to end, or could not be told

        def renew(address: str, token: str) -> bool:
            self._windows.renew(address, token, age=max(moment() - at, 0.0))
            known.heard = max(known.heard, at)
            return True

        if view is not None and view.ready and not self._leaves_it(view):
            self._through(view, renew)

    def _leaves_it(self, view: PodView) -> bool:
        """Whether the cluster has given the pod up: its lease shall end it."""
        return view.deleted_at is not None and view.problem is not None

    def _live_log(self, view: PodView, stream: str, offset: int) -> LogPart:
        def read(address: str, token: str) -> LogPart:
            return self._windows.log(address, token, stream=stream, offset=offset)

        part = self._through(view, read) if view.ready else None
        return part if isinstance(part, LogPart) else LogPart(offset=offset, data=b"")

    def _through(self, view: PodView, ask: Callable[[str, str], Any]) -> Any:
        """The answer of the pod's porter; None if it does not answer, as one that begins or ends.

        One that was silent is left alone for a while.
        """
        known, now = self._known_of(view.run_id), self._clock.monotonic()
        if view.ip is None or now < known.shut_until:
            return None
        try:
            answer = ask(f"{view.ip}:{pods.WINDOW_PORT}", self._token(view))
        except WindowClosedError as error:
            young = view.started_at is not None and (
                (self._clock.now() - view.started_at).total_seconds() < _SHUT
            )
            known.shut_until = now + (0.0 if young else _SHUT)
            log.debug("a window is shut", extra={"run": view.run_id, "reason": str(error)})
            return None
        except ApiError:
            return None
        return answer

    def _token(self, view: PodView) -> str:
        known = self._known_of(view.run_id)
        if known.token is None:
            found = self._cluster.request("GET", self._cluster.of("secrets", view.name))
            known.token = pods.token_in(found)
        return known.token

    def _fetch_log(self, view: PodView) -> None:
        """The end of what the container wrote, from its node; for what left no log of its own."""
        query = {"container": pods.CONTAINER, "limitBytes": str(PART)}
        try:
            data = self._cluster.text(self._cluster.of("pods", f"{view.name}/log"), query=query)
        except ApiError as error:
            data = f"(no log: {error.message})\n".encode()
        home = Path(self._home(view.run_id))
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / f"output.{0:020d}.log").write_bytes(data)

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

    def _delete(self, name: str, *, grace: int) -> None:
        try:
            options = {"gracePeriodSeconds": grace}
            self._cluster.request("DELETE", self._cluster.of("pods", name), options)
        except ApiError as error:
            if error.status != _MISSING:
                raise

    def _clear(self, name: str) -> None:
        """Let the pod go, and its secret. Raises ``ApiError``."""
        view = self._pods.get(name)
        if view is not None:
            self._unfinalized(name)
            if view.deleted_at is None:  # else its node does the rest
                self._delete(name, grace=0)
        self._quietly("DELETE", "secrets", name)

    def _unfinalized(self, name: str) -> None:
        try:
            body = {"metadata": {"finalizers": None}}
            self._cluster.request("PATCH", self._cluster.of("pods", name), body)
        except ApiError as error:
            if error.status != _MISSING:
                raise

    def _quietly(self, method: str, kind: str, name: str) -> None:
        try:
            self._cluster.request(method, self._cluster.of(kind, name))
        except ApiError as error:
            if error.status != _MISSING:
                log.warning("not removed", extra={"object": name, "reason": error.message})

    def _keep(self) -> None:
        """Renew what has no lease of its own, and clear away what nobody else will."""
        swept = self._clock.monotonic()
        while not self._stop.wait(_RENEW):
            try:
                with self._lock:
                    engines = [run_id for run_id, known in self._known.items() if known.engine]
                self.renew(engines, at=moment())
                self._made.sweep(frozenset(engines), self._is_here)
                if self._clock.monotonic() - swept >= _SWEEP:
                    swept = self._clock.monotonic()
                    self.sweep()
            except ServiceError as error:
                log.warning("pods not kept", extra={"reason": error.message})
            except Exception:  # the outermost of this thread: without it engines would end
                log.exception("pods not kept")

    def sweep(self) -> int:
        """Clear away engines of replicas that are gone, and secrets without a pod; how many."""
        done = 0
        with self._lock:
            engines = {run_id for run_id, known in self._known.items() if known.engine}
        long_ago = self._clock.now() - _STALE
        for view in self._pods.all():
            ours = view.owner == self._owner and view.run_id in engines
            foreign = view.role == pods.ENGINE and not ours
            if foreign and view.over and (view.finished_at or view.created_at) < long_ago:
                self._clear(view.name)
                done += 1
        query = {"labelSelector": self._selector}
        found = self._cluster.request("GET", self._cluster.of("secrets"), query=query)["items"]
        for each in found:
            name, made = each["metadata"]["name"], each["metadata"]["creationTimestamp"]
            if self._pods.get(name) is None and made < long_ago.isoformat()[:19]:
                self._quietly("DELETE", "secrets", name)
                done += 1
        return done

    def clear_all(self) -> int:
        """End and clear away every run of this installation, finalizers included; how many."""
        self._pods.wait_listed(_LISTED)
        views = self._pods.all()
        for view in views:
            self._delete(view.name, grace=0)
            self._unfinalized(view.name)
            self._quietly("DELETE", "secrets", view.name)
        return len(views) + self.sweep()

    def _known_of(self, run_id: RunId) -> _Known:
        with self._lock:
            return self._known.setdefault(run_id, _Known())

    def _is_here(self, run_id: RunId) -> bool:
        return self._view(run_id) is not None

    def _view(self, run_id: RunId) -> PodView | None:
        return self._pods.get(name_of(run_id))

    def _home(self, run_id: RunId) -> str:
        return str(self._root / run_id)


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


def _leaves(spec: RunSpec) -> bool:
    """Whether something of the run is wanted after its end that its pod cannot tell."""
    return spec.lease is not None or bool(spec.keeps) or not spec.merged


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


def _has_log(home: str) -> bool:
    return os.path.isdir(home) and any(
        name.startswith("output.") and name.endswith(".log") for name in os.listdir(home)
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
