"""What runs are given and what they write, on every launcher."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.launchers.api import Launcher, Limits, LogStream, RunExistsError, RunSpec, RunState
from jobs.launchers.local import LocalLauncher
from tests.support.runs import LAUNCHERS, NOW, begun, ended, eventually, python, spec

MIB = 1 << 20


@pytest.fixture(params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    made = LAUNCHERS[request.param](tmp_path / "runs")
    yield made
    made.close()


def with_files(launcher: Launcher, script: str, given: bytes = b"", **more: object) -> RunSpec:
    """A run whose standard input and output are files in its folder."""
    made = spec(launcher, script, merged=False, **more)
    folder = launcher.prepare(made.run_id)
    (folder / "stdin").write_bytes(given)
    values = {name: getattr(made, name) for name in RunSpec.__dataclass_fields__}
    return RunSpec(**{**values, "stdin": folder / "stdin", "stdout": folder / "stdout"})


def test_prepared_folder_is_kept_by_the_launch(launcher: Launcher) -> None:
    made = spec(launcher, "cat given")
    launcher.prepare(made.run_id)
    (launcher.prepare(made.run_id) / "given").write_text("a gift")
    assert launcher.status(made.run_id).state is RunState.GONE
    launcher.launch(made)
    ended(launcher, made.run_id)
    assert launcher.logs(made.run_id).data == b"a gift"
    with pytest.raises(RunExistsError):
        launcher.prepare(made.run_id)


def test_standard_input_is_empty_unless_it_is_given(launcher: Launcher) -> None:
    made = spec(launcher, "cat; echo done")
    launcher.launch(made)
    ended(launcher, made.run_id)
    assert launcher.logs(made.run_id).data == b"done\n"


def test_files_are_standard_input_and_output(launcher: Launcher) -> None:
    made = with_files(launcher, "tr a-z A-Z; echo hm >&2", b"loud" * MIB)
    launcher.launch(made)
    assert ended(launcher, made.run_id).exit_code == 0
    assert made.stdout is not None
    assert made.stdout.read_bytes() == b"LOUD" * MIB
    assert launcher.logs(made.run_id, stream=LogStream.STDERR).data == b"hm\n"
    part = launcher.logs(made.run_id, offset=MIB - 2)
    assert (part.offset, part.data) == (MIB - 2, b"UD")
    assert len(launcher.logs(made.run_id).data) == MIB
    assert launcher.logs(made.run_id, offset=2 * MIB).data == b""


def test_streams_are_kept_apart_when_asked(launcher: Launcher) -> None:
    made = spec(launcher, "echo out; echo err >&2", merged=False)
    launcher.launch(made)
    ended(launcher, made.run_id)
    assert launcher.logs(made.run_id).data == b"out\n"
    assert launcher.logs(made.run_id, stream=LogStream.STDERR).data == b"err\n"


def test_merged_streams_are_one_log(launcher: Launcher) -> None:
    made = spec(launcher, "echo out; echo err >&2")
    launcher.launch(made)
    ended(launcher, made.run_id)
    parts = {launcher.logs(made.run_id, stream=stream).data for stream in LogStream}
    assert parts == {b"out\nerr\n"}


@pytest.mark.parametrize("merged", [True, False])
def test_log_that_was_seen_is_never_out_of_sight(launcher: Launcher, merged: bool) -> None:
    """In the moment of the end least of all: whoever is to be told why it ended looks then."""
    made = spec(launcher, "echo seen; sleep 1", merged=merged, lease=timedelta(minutes=1))
    launcher.launch(made)
    eventually(lambda: launcher.logs(made.run_id).data)
    while not launcher.status(made.run_id).state.ended:
        assert launcher.logs(made.run_id).data == b"seen\n"
    assert launcher.logs(made.run_id).data == b"seen\n"


def test_input_that_is_not_there_is_told(launcher: Launcher) -> None:
    made = spec(launcher, "cat", stdin=Path("/no/such/file"))
    launcher.launch(made)
    assert ended(launcher, made.run_id).exit_code == 127
    assert b"No such file or directory (/no/such/file)" in launcher.logs(made.run_id).data


def test_command_begins_in_its_own_folder(launcher: Launcher) -> None:
    made = spec(launcher, "pwd", workdir=Path("/usr"))
    launcher.launch(made)
    ended(launcher, made.run_id)
    assert launcher.logs(made.run_id).data == b"/usr\n"


def test_output_up_to_its_bound_is_kept(launcher: Launcher) -> None:
    made = with_files(launcher, "head -c 1048576 /dev/zero", max_output_bytes=MIB)
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (0, None)


def test_output_beyond_its_bound_ends_the_run(launcher: Launcher) -> None:
    made = with_files(launcher, "head -c 1048577 /dev/zero", max_output_bytes=MIB)
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert status.reason == "output"
    assert made.stdout is not None
    assert made.stdout.stat().st_size <= MIB + 1


def test_endless_output_is_ended_soon(launcher: Launcher) -> None:
    made = with_files(launcher, "while :; do cat /dev/zero; done", max_output_bytes=MIB)
    launcher.launch(made)
    assert ended(launcher, made.run_id).reason == "output"


def test_many_files_count_as_output(launcher: Launcher) -> None:
    script = "mkdir d; i=0; while :; do head -c 100000 /dev/urandom > d/$i; i=$((i+1)); done"
    made = spec(launcher, script, max_output_bytes=MIB)
    launcher.launch(made)
    assert ended(launcher, made.run_id).reason == "output"


def test_run_over_its_time_is_ended(launcher: Launcher) -> None:
    made = spec(launcher, "exec sleep 1000", timeout=timedelta(seconds=0.5))
    began = launcher.moment()
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (-signal.SIGTERM, "deadline")
    assert 0.5 <= status.elapsed_seconds <= launcher.moment() - began


def test_memory_is_that_of_all_processes(launcher: Launcher) -> None:
    hold = "import os, time\nfor _ in range(3):\n  if not os.fork(): os.setsid(); break\n"
    hold += "kept = bytearray(60 << 20); time.sleep(1000)"
    command = (python(launcher), "-S", "-c", hold)
    made = spec(launcher, "", command=command, memory_bytes=200 * MIB)
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert status.reason == "memory"
    assert status.peak_rss_bytes >= 200 * MIB


def test_shared_memory_is_counted_once(launcher: Launcher) -> None:
    share = "import os, time\nkept = bytearray(100 << 20)\nfor _ in range(3):\n"
    share += "  if not os.fork(): break\ntime.sleep(1.0)"
    command = (python(launcher), "-S", "-c", share)
    made = spec(launcher, "", command=command, memory_bytes=200 * MIB)
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (0, None)
    assert 100 * MIB < status.peak_rss_bytes < 200 * MIB


def test_usage_counts_short_children(launcher: Launcher) -> None:
    burn = f"{python(launcher)} -S -c 'for i in range(2000000): pass'"
    made = spec(launcher, f"for i in 1 2 3; do {burn}; done; setsid {burn} & echo $$; wait")
    launcher.launch(made)
    begun(launcher, made.run_id)
    status = ended(launcher, made.run_id)
    assert 0.1 < status.cpu_seconds < status.elapsed_seconds + 0.5
    assert 2 * MIB < status.peak_rss_bytes < 200 * MIB


def test_status_tells_the_use_of_daemons(launcher: Launcher) -> None:
    made = spec(launcher, "setsid sh -c 'while :; do :; done' & echo $$; sleep 1000")
    launcher.launch(made)
    begun(launcher, made.run_id)
    eventually(lambda: launcher.status(made.run_id).cpu_seconds > 0.1)
    status = launcher.status(made.run_id)
    assert status.peak_rss_bytes >= status.rss_bytes > 0
    assert status.elapsed_seconds > 0.1
    launcher.stop(made.run_id, grace=NOW)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are chosen on Linux only")
def test_runs_are_kept_to_their_cores(launcher: Launcher) -> None:
    count = len(os.sched_getaffinity(0))
    script = f"{python(launcher)} -S -c 'import os; print(sorted(os.sched_getaffinity(0)))'"
    seen = set()
    for _ in range(count):
        made = spec(launcher, script, limits=Limits(cores=1))
        launcher.launch(made)
        ended(launcher, made.run_id)
        seen.add(launcher.logs(made.run_id).data)
    assert seen == {f"[{core}]\n".encode() for core in os.sched_getaffinity(0)}
    made = spec(launcher, script, limits=Limits(cores=count + 1))
    launcher.launch(made)
    ended(launcher, made.run_id)
    assert launcher.logs(made.run_id).data == f"{sorted(os.sched_getaffinity(0))}\n".encode()


def test_limits_hold_from_the_beginning(launcher: Launcher) -> None:
    script = "nice; ulimit -n; ulimit -c; grep NoNewPrivs /proc/self/status || true"
    made = spec(launcher, script, limits=Limits(nice=7, open_files=99))
    launcher.launch(made)
    ended(launcher, made.run_id)
    lines = launcher.logs(made.run_id).data.decode().split("\n")
    assert lines[:3] == [str(min(os.nice(0) + 7, 19)), "99", "0"]
    assert sys.platform != "linux" or lines[3] == "NoNewPrivs:\t1"


def test_capacity_is_that_of_something(launcher: Launcher) -> None:
    capacity = launcher.capacity()
    assert capacity.cpu_millis >= 1
    assert capacity.memory_bytes > 100 * MIB


def test_log_outlives_a_reader_that_is_slow(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "runs", log_bytes=1000)
    made = spec(launcher, "seq 1 1000; seq 1 1000 >&2", merged=False)
    launcher.launch(made)
    ended(launcher, made.run_id)
    parts = [launcher.logs(made.run_id, stream=stream, offset=10) for stream in LogStream]
    assert parts[0] == parts[1]
    assert parts[0].data.endswith(b"999\n1000\n")
    assert parts[0].offset > 10
    launcher.close()
