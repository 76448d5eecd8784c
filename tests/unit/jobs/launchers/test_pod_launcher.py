"""What is said of pods of which the API server says nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers import pod_launcher, pod_objects
from jobs.launchers.api import LaunchRefusedError, RunSpec, RunState
from jobs.launchers.cluster import ApiError, Cluster
from jobs.launchers.identity import moment
from jobs.launchers.pod_known import Known
from jobs.launchers.pod_launcher import KubernetesLauncher
from jobs.launchers.pods import (
    DRIVER,
    INSTALLATION,
    LEASE,
    MANAGED,
    RUN,
    ClusterSettings,
    PodSettings,
)
from jobs.launchers.problems import Again
from storage.base.clock import SystemClock
from storage.base.ids import RunId
from storage.objects.buckets import S3Settings
from storage.objects.s3 import S3Store
from tests.support.proxies import Gate
from tests.support.runs import NOW, eventually
from tests.unit.jobs.launchers.test_cluster import END, Api, _Answers, pod

STORE = S3Settings(
    endpoint="127.0.0.1:9", region="here", access_key="a", secret_key="b" * 8, secure=False
)


CONTENDED = (
    'Operation cannot be fulfilled on resourcequotas "runs": the object has been modified; please '
    "apply your changes to the latest version and try again"
)


class _Hears(_Answers):
    """Takes what it is sent; a pod only if it may, else it is silent about it."""

    server: Half

    def do_GET(self) -> None:  # noqa: N802
        path = self.path.partition("?")[0]
        if path.endswith("/secrets"):
            self._answer(200, {"items": [pod(name, 1) for name in self.server.secrets]})
        elif "/pods/" in path:
            there = path.rpartition("/")[2] in self.server.hidden
            self._answer(200 if there else 404, {"message": "not found"})
        else:
            super().do_GET()

    def do_POST(self) -> None:  # noqa: N802  the library's name
        body = json.loads(self._read())
        if self.path.endswith("/pods") and self.server.contended:
            self.server.contended -= 1
            self._answer(409, {"message": CONTENDED})
            return
        if self.path.endswith("/pods") and self.server.silent:
            self.close_connection = True
            return
        body["metadata"] |= {"uid": "u", "creationTimestamp": "2026-11-29T06:00:00Z"}
        self._answer(201, body)

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def do_PATCH(self) -> None:  # noqa: N802
        self._read()
        self.server.slow.wait()
        self._answer(200, {})

    def do_DELETE(self) -> None:  # noqa: N802
        self._read()
        self.server.deleted.append(self.path.rpartition("/")[2])
        self._answer(200, {})


class Half(Api):
    """An API server that may fall silent, or be cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = _Hears
        self.silent = False
        self.slow = threading.Event()  # not set: what is changed has to wait
        self.slow.set()
        self.contended = 0  # pods that find another at the quota
        self.secrets: list[str] = []
        self.hidden: set[str] = set()  # pods that are there, and that no list has
        self.deleted: list[str] = []
        self.gate = Gate(("127.0.0.1", self.server_port))


@pytest.fixture
def api() -> Iterator[Half]:
    with Half() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.slow.set()
        made.gate.shut()
        made.events.put(END)
        made.shutdown()


@contextmanager
def opened(api: Half, root: Path) -> Iterator[KubernetesLauncher]:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{api.gate.port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }  # fmt: skip
    (root / "config").write_text(json.dumps(config))
    made = KubernetesLauncher(
        Cluster(ClusterSettings(kubeconfig=root / "config", namespace="runs")),
        PodSettings(installation="dli", namespace="runs", image="i"),
        root=root / "runs",
        store=S3Store("bucket", "", STORE),
        clock=SystemClock(),
        owner="one",
    )
    list(made.known())  # when the first list is there
    yield made
    made.close()


def batch(launcher: KubernetesLauncher, name: str, *, ago: float = 0.0) -> RunSpec:
    run_id = RunId(f"run_{name}_1")
    return RunSpec(
        run_id=run_id,
        command=("/bin/true",),
        directory=launcher.directory(run_id),
        merged=False,
        lease=timedelta(seconds=20),
        renewed_at=moment() - ago,
    )


def living(name: str) -> dict[str, Any]:
    """A pod whose lease of 20 seconds was over long ago, if nobody renewed it."""
    made = pod(f"run-{name}-1", 3)
    made["metadata"]["annotations"] = {LEASE: "20"}
    made["metadata"]["labels"] = {MANAGED: "dli", INSTALLATION: "dli", RUN: f"run_{name}_1"}
    return made


def test_launch_that_is_not_answered_may_have_started(api: Half, tmp_path: Path) -> None:
    """Called lost, it might run beside the next attempt."""
    with opened(api, tmp_path) as launcher:
        api.silent = True
        made = batch(launcher, "a")
        assert launcher.launch(made).state is RunState.STARTING
        status = launcher.stop(made.run_id, grace=NOW)
        assert (status.state, status.problem and status.problem.code) == (
            RunState.STARTING, "cluster_unavailable",
        )  # fmt: skip


def test_launch_that_is_not_answered_has_ended_with_its_lease(api: Half, tmp_path: Path) -> None:
    with opened(api, tmp_path) as launcher:
        api.silent = True
        made = batch(launcher, "a", ago=31.0)
        launcher.launch(made)
        status = launcher.status(made.run_id)
        assert (status.state, status.problem and status.problem.code) == (
            RunState.GONE, "cluster_unavailable",
        )  # fmt: skip


def test_pod_that_is_seen_after_all_is_a_run_as_any(api: Half, tmp_path: Path) -> None:
    with opened(api, tmp_path) as launcher:
        api.silent = True
        made = batch(launcher, "a")
        launcher.launch(made)
        assert launcher.status(made.run_id).problem is not None
        api.tell("ADDED", living("a"))
        eventually(lambda: launcher.status(made.run_id).problem is None)
        assert launcher.status(made.run_id).state is RunState.STARTING


def test_launch_that_reached_nobody_has_started_nothing(api: Half, tmp_path: Path) -> None:
    with opened(api, tmp_path) as launcher:
        api.gate.shut()
        made = batch(launcher, "a")
        with pytest.raises(LaunchRefusedError) as caught:
            launcher.launch(made)
        assert caught.value.problem.code == "cluster_unavailable"
        assert isinstance(caught.value.__cause__, ApiError)
        assert not caught.value.__cause__.asked
        assert launcher.status(made.run_id).state is RunState.GONE
        assert not launcher.answers()


def test_run_of_a_silent_cluster_ends_with_its_lease(api: Half, tmp_path: Path) -> None:
    api.pages = [[living("a")]]
    run_id = RunId("run_a_1")
    with opened(api, tmp_path) as launcher:
        assert launcher.answers()
        assert launcher.status(run_id).state is RunState.STARTING, "the cluster says that it lives"
        api.gate.shut()
        eventually(lambda: launcher.status(run_id).state.ended)
        problem = launcher.status(run_id).problem
        assert (problem and problem.code, problem and problem.again) == (
            "cluster_unavailable", "now",
        )  # fmt: skip


def test_run_of_a_silent_cluster_lives_while_its_lease_does(api: Half, tmp_path: Path) -> None:
    young = living("a")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    young["metadata"]["creationTimestamp"] = now.replace("+00:00", "Z")
    api.pages = [[young]]
    with opened(api, tmp_path) as launcher:
        api.gate.shut()
        eventually(lambda: not launcher._pods.connected)
        assert launcher.status(RunId("run_a_1")).state is RunState.STARTING


def test_lease_counts_by_our_own_clock(api: Half, tmp_path: Path) -> None:
    """The API server's is hours behind, so that the pod seems to be as old."""
    with opened(api, tmp_path) as launcher:
        made = batch(launcher, "a")
        launcher.launch(made)
        api.gate.shut()
        eventually(lambda: not launcher._pods.connected)
        assert launcher.status(made.run_id).state is RunState.STARTING


def test_run_ends_beside_a_side_car_that_goes_on(api: Half, tmp_path: Path) -> None:
    over = living("a")
    end = {"exitCode": 3, "reason": "Error", "message": json.dumps({"code": 3, "reason": None})}
    over["status"] = {
        "phase": "Running",
        "containerStatuses": [
            {"name": "run", "state": {"terminated": end}},
            {"name": "logs", "state": {"running": {}}},
        ],
    }
    api.pages = [[over]]
    with opened(api, tmp_path) as launcher:
        status = launcher.status(RunId("run_a_1"))
        assert (status.state, status.exit_code) == (RunState.EXITED, 3)
        launcher._objects.clear("run-a-1")
        assert api.deleted == ["run-a-1", "run-a-1"], "the pod and its secret"


def test_what_was_known_of_a_pod_goes_with_it(api: Half, tmp_path: Path) -> None:
    """Whoever shows the logs of others' runs is not the one that forgets these."""
    api.pages = [[living("a")]]
    with opened(api, tmp_path) as launcher:
        for run_id in (RunId("run_a_1"), RunId("run_b_1")):
            assert launcher.logs(run_id).data == b""
            launcher.renew([run_id], at=moment())
        launcher.sweep()
        assert RunId("run_a_1") in launcher._memory
        assert RunId("run_b_1") not in launcher._memory


def test_engines_are_renewed_while_the_server_is_slow(
    api: Half, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would end by their lease, and all that runs on them, for what is only tidied up."""
    monkeypatch.setattr(pod_launcher, "_RENEW", 0.01)
    executor = living("exec")
    executor["metadata"]["labels"] |= {DRIVER: "run_of_before"}
    executor["status"] = {"phase": "Succeeded"}
    api.pages = [[executor]]
    api.slow.clear()
    with opened(api, tmp_path) as launcher:
        known = Known(engine=True)
        launcher._memory.keep(RunId("run_engine"), known)
        eventually(lambda: launcher.calls.get("PATCH"))
        before = moment()
        eventually(lambda: known.asked > before)
        launcher._memory.forget(RunId("run_engine"))


@pytest.mark.parametrize(("times", "starts"), [(3, True), (99, False)])
def test_quota_that_another_changes_is_tried_again(
    api: Half, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, starts: bool
) -> None:
    """Several API servers count at one quota, and give up after three tries of their own."""
    monkeypatch.setattr(pod_objects, "_PAUSES", (0.001,) * 5)
    api.contended = times
    with opened(api, tmp_path) as launcher:
        made = batch(launcher, "a")
        if starts:
            assert launcher.launch(made).state is RunState.STARTING
            return
        with pytest.raises(LaunchRefusedError) as caught:
            launcher.launch(made)
        assert caught.value.problem.again is Again.LATER
        assert api.contended > 80, "not for ever"


def test_secret_of_a_pod_that_is_not_seen_stays(api: Half, tmp_path: Path) -> None:
    """A list may be of long ago, while the watch is broken; executors still need the secret."""
    api.secrets, api.hidden = ["run-a-1", "run-b-1"], {"run-a-1"}
    with opened(api, tmp_path) as launcher:
        assert launcher.sweep() == 1
        assert api.deleted == ["run-b-1"]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"code": 7, "reason": None}, None),
        ({"code": -15, "reason": "stopped"}, "cancelled"),
        ({"code": -9, "reason": "memory"}, "memory"),
        ({"code": None, "reason": "inputs"}, "cancelled"),
        (None, "cancelled"),
    ],
)
def test_a_stop_is_the_reason_of_what_it_ended(
    api: Half, tmp_path: Path, told: dict[str, Any] | None, reason: str | None
) -> None:
    over = living("a")
    end = {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-29T06:00:04Z"}
    end |= {} if told is None else {"message": json.dumps(told)}
    over["status"] = {
        "phase": "Failed", "containerStatuses": [{"name": "run", "state": {"terminated": end}}],
    }  # fmt: skip
    over["metadata"]["resourceVersion"] = "4"
    api.pages = [[living("a")]]
    with opened(api, tmp_path) as launcher:
        threading.Timer(0.2, api.tell, ("MODIFIED", over)).start()
        grace = timedelta(seconds=5)
        status = launcher.stop(RunId("run_a_1"), grace=grace, reason="cancelled")
        assert (status.state.ended, status.reason) == (True, reason)
