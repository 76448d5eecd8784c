"""What every launcher promises, kept by pods of a real cluster.

The promises are those of ``tests/contract``: the same functions, with a launcher of pods for their
``launcher``. Left out are those about processes of this machine: pids, lock files, wardens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.launchers.pod_launcher import KubernetesLauncher
from tests.contract.test_launcher import (  # noqa: F401  collected here, with our launcher
    test_exit_code_and_output_are_kept,
    test_leftovers_of_a_run_that_exits_are_killed,
    test_log_continues_from_an_offset,
    test_one_id_is_launched_once,
    test_program_that_is_not_there_exits_with_its_reason,
    test_run_over_its_memory_is_killed,
    test_running_tells_what_lives,
    test_secrets_are_in_no_repr_and_no_process_list,
    test_status_measures_memory_and_cpu,
    test_stop_kills_what_does_not_listen,
    test_stop_lets_a_run_end_by_itself,
    test_stop_of_an_ended_or_unknown_run_is_no_error,
    test_stop_reaches_a_daemon_of_its_own_session,
)
from tests.contract.test_launcher_leases import (  # noqa: F401
    test_lease_that_ended_before_the_start_ends_the_run,
    test_older_renewal_changes_nothing,
    test_renewal_keeps_a_run,
    test_stop_before_the_start_leaves_nothing,
)
from tests.contract.test_launcher_output import (  # noqa: F401
    test_capacity_is_that_of_something,
    test_command_begins_in_its_own_folder,
    test_endless_output_is_ended_soon,
    test_files_are_standard_input_and_output,
    test_input_that_is_not_there_is_told,
    test_limits_hold_from_the_beginning,
    test_log_that_was_seen_is_never_out_of_sight,
    test_many_files_count_as_output,
    test_memory_is_that_of_all_processes,
    test_merged_streams_are_one_log,
    test_output_beyond_its_bound_ends_the_run,
    test_output_up_to_its_bound_is_kept,
    test_prepared_folder_is_kept_by_the_launch,
    test_run_over_its_time_is_ended,
    test_standard_input_is_empty_unless_it_is_given,
    test_status_tells_the_use_of_daemons,
    test_streams_are_kept_apart_when_asked,
    test_usage_counts_short_children,
)
from tests.support.cluster import Cluster, Namespace
from tests.support.pods import pod_launcher
from tests.support.servers import S3Server


@pytest.fixture(scope="module")
def runs(cluster: Cluster) -> Iterator[Namespace]:
    with cluster.namespace("launcher") as made:
        yield made


@pytest.fixture
def launcher(runs: Namespace, pod_s3: S3Server, tmp_path: Path) -> Iterator[KubernetesLauncher]:
    with pod_launcher(runs, pod_s3, tmp_path / "runs") as made:
        yield made
