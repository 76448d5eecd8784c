"""What is said of a launch that nobody answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.launchers.api import LaunchRefusedError, RunState
from jobs.launchers.cluster import ApiError
from tests.support.api_servers import ApiServer, launcher_of, leased, living
from tests.support.runs import NOW, eventually


def test_launch_that_is_not_answered_may_have_started(api: ApiServer, tmp_path: Path) -> None:
    """Called lost, it might run beside the next attempt."""
    with launcher_of(api, tmp_path) as launcher:
        api.silent = True
        made = leased(launcher, "a")
        assert launcher.launch(made).state is RunState.STARTING
        status = launcher.stop(made.run_id, grace=NOW)
        assert (status.state, status.problem and status.problem.code) == (
            RunState.STARTING, "cluster_unavailable",
        )  # fmt: skip


def test_launch_that_is_not_answered_ends_with_its_lease(api: ApiServer, tmp_path: Path) -> None:
    with launcher_of(api, tmp_path) as launcher:
        api.silent = True
        made = leased(launcher, "a", ago=31.0)
        launcher.launch(made)
        status = launcher.status(made.run_id)
        assert (status.state, status.problem and status.problem.code) == (
            RunState.GONE, "cluster_unavailable",
        )  # fmt: skip


def test_pod_that_is_seen_after_all_is_a_run_as_any(api: ApiServer, tmp_path: Path) -> None:
    with launcher_of(api, tmp_path) as launcher:
        api.silent = True
        made = leased(launcher, "a")
        launcher.launch(made)
        assert launcher.status(made.run_id).problem is not None
        api.tell("ADDED", living("a"))
        eventually(lambda: launcher.status(made.run_id).problem is None)
        assert launcher.status(made.run_id).state is RunState.STARTING


def test_launch_that_reached_nobody_has_started_nothing(api: ApiServer, tmp_path: Path) -> None:
    with launcher_of(api, tmp_path) as launcher:
        api.gate.shut()
        made = leased(launcher, "a")
        with pytest.raises(LaunchRefusedError) as caught:
            launcher.launch(made)
        assert caught.value.problem.code == "cluster_unavailable"
        assert isinstance(caught.value.__cause__, ApiError)
        assert not caught.value.__cause__.asked
        assert launcher.status(made.run_id).state is RunState.GONE
        assert not launcher.answers()
