"""What is said of pods of which the API server says nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from jobs.launchers.api import RunState
from storage.base.ids import RunId
from tests.support.api_servers import ApiServer, launcher_of, leased, living
from tests.support.runs import eventually


def test_run_of_a_silent_cluster_ends_with_its_lease(api: ApiServer, tmp_path: Path) -> None:
    api.pages = [[living("a")]]
    run_id = RunId("run_a_1")
    with launcher_of(api, tmp_path) as launcher:
        assert launcher.answers()
        assert launcher.status(run_id).state is RunState.STARTING, "the cluster says that it lives"
        api.gate.shut()
        eventually(lambda: launcher.status(run_id).state.ended)
        problem = launcher.status(run_id).problem
        assert (problem and problem.code, problem and problem.again) == (
            "cluster_unavailable", "now",
        )  # fmt: skip


def test_run_of_a_silent_cluster_lives_while_its_lease_does(api: ApiServer, tmp_path: Path) -> None:
    young = living("a")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    young["metadata"]["creationTimestamp"] = now.replace("+00:00", "Z")
    api.pages = [[young]]
    with launcher_of(api, tmp_path) as launcher:
        api.gate.shut()
        eventually(lambda: not launcher._watched.connected)
        assert launcher.status(RunId("run_a_1")).state is RunState.STARTING


def test_lease_counts_by_our_own_clock(api: ApiServer, tmp_path: Path) -> None:
    """The API server's is hours behind, so that the pod seems to be as old."""
    with launcher_of(api, tmp_path) as launcher:
        made = leased(launcher, "a")
        launcher.launch(made)
        api.gate.shut()
        eventually(lambda: not launcher._watched.connected)
        assert launcher.status(made.run_id).state is RunState.STARTING
