"""A fleet keeps the promises of its members, and starts a run in one of them only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.launchers.api import LaunchRefusedError, RunExistsError, RunState
from jobs.launchers.fleet import ClusterUnknownError, Fleet
from jobs.launchers.local import LocalLauncher
from jobs.lifecycle.runs import cluster_of, is_of_job, run_in
from storage.base.ids import RunId
from tests.contract.test_launcher import (  # noqa: F401  collected here, with our launcher
    test_exit_code_and_output_are_kept,
    test_log_continues_from_an_offset,
    test_one_id_is_launched_once,
    test_running_tells_what_lives,
    test_stop_lets_a_run_end_by_itself,
    test_stop_of_an_ended_or_unknown_run_is_no_error,
)
from tests.contract.test_launcher_leases import (  # noqa: F401
    test_lease_that_ended_before_the_start_ends_the_run,
)
from tests.contract.test_launcher_output import (  # noqa: F401
    test_prepared_folder_is_kept_by_the_launch,
)
from tests.support.fleets import Site, make_fleet
from tests.support.runs import NOW, begun, ended, eventually, spec

pytestmark = pytest.mark.xdist_group("launchers")

WAITS = "trap 'exit 3' TERM; echo $$; while :; do sleep 0.05; done"
SHORT = {"lease": timedelta(seconds=6), "grace": timedelta(seconds=0.5)}


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Fleet, dict[str, Site]]]:
    fleet, sites = make_fleet(tmp_path, eu=4)
    yield fleet, sites
    for run_id in list(fleet.running()):
        fleet.stop(run_id, grace=NOW)
    fleet.close()


@pytest.fixture
def launcher(sites: tuple[Fleet, dict[str, Site]]) -> Fleet:
    return sites[0]


def test_name_of_a_run_tells_its_cluster() -> None:
    run_id = run_in(RunId("run_01_2"), "eu-west")
    assert (run_id, cluster_of(run_id), is_of_job(run_id)) == ("run_01_2-eu-west", "eu-west", True)
    assert cluster_of(run_in(RunId("run_01"), None)) == cluster_of(RunId("run_01")) == "default"


def test_run_lives_in_its_cluster_only(sites: tuple[Fleet, dict[str, Site]]) -> None:
    fleet, members = sites
    made = spec(fleet, "echo here")
    fleet.launch(made)
    assert ended(fleet, made.run_id).exit_code == 0
    assert list(members["eu"].known()) == list(fleet.known()) == [made.run_id]
    assert list(members["default"].known()) == []
    fleet.forget(made.run_id)
    assert list(fleet.known()) == []


def test_another_replica_finds_a_run_by_its_name_alone(tmp_path: Path) -> None:
    first, members = make_fleet(tmp_path, eu=4)
    made = spec(first, WAITS, lease=timedelta(seconds=30))
    first.launch(made)
    begun(first, made.run_id)
    first.close()
    second = Fleet({name: LocalLauncher(tmp_path / name) for name in members})
    assert second.adopt(made.run_id).state is RunState.RUNNING
    with pytest.raises(RunExistsError):
        second.launch(made)
    assert second.stop(made.run_id, grace=timedelta(seconds=5)).exit_code == 3
    second.close()


def test_renewal_reaches_runs_of_all_clusters(launcher: Fleet) -> None:
    here, began = RunId("run_x_1"), launcher.moment() - 3.2
    runs = [
        spec(launcher, WAITS, renewed_at=began, **SHORT),
        spec(launcher, WAITS, run_id=here, directory=launcher.directory(here), renewed_at=began,
             **SHORT),
    ]  # fmt: skip
    for made in runs:
        launcher.launch(made)
    launcher.renew([made.run_id for made in runs], at=launcher.moment() + 100)
    threading.Event().wait(2.6)  # without it they would have been told to end
    assert set(launcher.running()) == {made.run_id for made in runs}


def test_a_launch_in_vain_tells_at_once_that_a_cluster_is_silent(
    sites: tuple[Fleet, dict[str, Site]],
) -> None:
    fleet, members = sites
    members["eu"].silent = True
    assert fleet.reaches("eu")
    with pytest.raises(LaunchRefusedError, match="does not answer"):
        fleet.launch(spec(fleet, "true"))
    assert not fleet.reaches("eu")
    assert fleet.reaches("default")
    members["eu"].silent = False
    fleet.look()
    assert fleet.reaches("eu")


def test_capacity_is_that_of_the_largest_that_answers(
    sites: tuple[Fleet, dict[str, Site]],
) -> None:
    fleet, members = sites
    assert fleet.capacity().cpu_millis == 8000
    members["default"].silent = True
    fleet.look()
    assert fleet.capacity().cpu_millis == 4000
    assert fleet.answers()


def test_cluster_that_the_settings_name_no_more_has_nothing(launcher: Fleet) -> None:
    lost = RunId("run_01_1-mars")
    assert launcher.status(lost).state is launcher.adopt(lost).state is RunState.GONE
    assert launcher.stop(lost, grace=NOW).state is RunState.GONE
    assert launcher.logs(lost).data == b""
    launcher.renew([lost], at=launcher.moment())
    launcher.forget(lost)
    with pytest.raises(ClusterUnknownError, match="mars"):
        launcher.prepare(lost)


def test_a_fleet_has_a_default_cluster(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="default"):
        Fleet({"eu": LocalLauncher(tmp_path)})


def test_engines_of_all_clusters_end_with_the_service(tmp_path: Path) -> None:
    fleet, members = make_fleet(tmp_path, eu=4)
    made = spec(fleet, WAITS)
    fleet.launch(made)
    begun(fleet, made.run_id)
    fleet.close()
    eventually(lambda: members["eu"].status(made.run_id).state.ended)
