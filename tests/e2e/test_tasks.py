"""Commands over the command line: piped, cancelled, failing, and the guide's own."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.service import DLI, Service, running_service
from benchmarks.tour import comparable, steps_of
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that
from tests.support.runs import STUBBORN

pytestmark = pytest.mark.xdist_group("e2e")

GUIDE = Path(__file__).parents[2] / "docs" / "tasks.md"
MIB = 1 << 20
PYTHON = f"{sys.base_prefix}/bin/python3"


def settings(*commands: str) -> dict[str, str]:
    return {
        "DLI_TASK_COMMANDS": ",".join(commands),
        "DLI_TASK_PATHS": sys.base_prefix,
        "DLI_MAX_UPLOAD": "2GiB",
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("tasks") / "home"
    home.mkdir()
    with running_service(home, environment=settings("cat", "sort", "sh", PYTHON)) as made:
        yield made


def start(service: Service, *words: str, **how: int | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [DLI, "task", "run", "--local", *words],
        env=service.environment(),
        stdin=how.get("stdin", subprocess.DEVNULL),
        stdout=how.get("stdout", subprocess.PIPE),
        stderr=how.get("stderr", subprocess.PIPE),
    )


def pipe(service: Service, megabytes: int) -> tuple[str, str, int]:
    """Hashes of what went in and came out, and the most memory that our end ever had."""
    sent, came = hashlib.sha256(), hashlib.sha256()
    block = bytes(range(256)) * 4096
    client = start(service, "--", "cat", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert client.stdin is not None
    assert client.stdout is not None
    for number in range(megabytes):
        piece = number.to_bytes(8, "big") + block[8:]
        sent.update(piece)
        client.stdin.write(piece)
    client.stdin.close()
    most = 0
    while piece := client.stdout.read(MIB):
        came.update(piece)
        most = max(most, psutil.Process(client.pid).memory_info().rss)
    client.stdout.close()
    assert client.wait(60) == 0
    return sent.hexdigest(), came.hexdigest(), most


def peak_memory(pid: int) -> int:
    """The most bytes that a process ever had, by the kernel."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024


def piped_within(service: Service, megabytes: int, growth: int) -> None:
    before = peak_memory(service.process.pid)
    sent, came, most = pipe(service, megabytes)
    assert came == sent
    assert peak_memory(service.process.pid) - before < growth
    assert most < 150 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bytes_are_piped_through_a_command(service: Service) -> None:
    piped_within(service, 64, 100 * MIB)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_gigabyte_is_piped_in_constant_memory(service: Service) -> None:
    piped_within(service, 1024, 100 * MIB)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
def test_a_stubborn_command_is_cancelled_to_the_last_process(service: Service) -> None:
    client = start(service, "--", PYTHON, "-c", STUBBORN)

    def processes() -> list[psutil.Process]:
        found = []
        for process in service.children():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if STUBBORN in words or words[-1:] == ["echo $$; while :; do sleep 1000; done"]:
                found.append(process)
        return found

    assert await_that(lambda: len(processes()) >= 2, seconds=30)
    left = processes()
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=60)
    assert (client.returncode, out) == (4, b""), err
    assert b"is cancelled" in err
    assert not [process for process in left if process.is_running()]


@pytest.mark.slow
def test_a_command_goes_on_while_its_service_is_killed(starter: Starter, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_bytes(b"before ")
    first = starter(environment=settings("sh"))
    first.await_ready()
    with first.client() as client:
        script = "cat; echo on > begun; sleep 4; printf after"
        job = client.submit_task(["sh", "-c", script], stdin=given)
        assert await_that(lambda: client.job(job["id"])["state"] == "running", seconds=30)
    first.kill()
    second = starter(environment=settings("sh"))
    second.await_ready()
    with second.client() as client:
        ended = client.wait_job(client.job(job["id"]))
        assert (ended["state"], ended["attempt"]) == ("finished", 1)
        assert "adopted" in [step["event"] for step in ended["history"]]
        with client.task_output(job["id"]) as pieces:
            assert b"".join(pieces) == b"before after"


def test_a_command_that_cannot_be_is_refused(service: Service) -> None:
    refused = start(service, "--", "rm", "-rf", "/")
    assert b"[command_refused]" in refused.communicate(timeout=60)[1]
    assert refused.returncode == 3
    nowhere = subprocess.run(
        [DLI, "task", "run", "--", "cat"], env=service.environment(), capture_output=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (nowhere.returncode, b"--local" in nowhere.stderr) == (2, True)


def test_the_guide_prints_what_is_written(tmp_path: Path) -> None:
    steps = steps_of(GUIDE.read_text(encoding="utf-8"))
    assert len(steps) > 4
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    with running_service(home, environment=settings("cat", "sort", "sh")) as service:
        path = f"{DLI.parent}:/usr/local/bin:/usr/bin:/bin"
        environment = service.environment() | {"PATH": path, "TERM": "dumb", "LC_ALL": "C"}
        for step in steps:
            done = subprocess.run(
                ["/bin/bash", "-c", step.command], cwd=folder, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
            )  # fmt: skip
            assert comparable(done.stdout) == comparable(step.output), step.command


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_a_sandboxed_command_ends_in_its_own_time(service: Service) -> None:
    script = "trap 'echo bye >&2; exit 0' TERM; echo on >&2; while :; do sleep 0.05; done"
    client = start(service, "--", "sh", "-c", script)
    assert client.stderr is not None
    while b"on" not in client.stderr.readline():
        continue
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=60)
    assert client.returncode == 4
    with service.client() as asking:
        job = next(asking.jobs(kind="task"))
        with asking.log(job["id"], stream="stderr") as pieces:
            assert b"".join(pieces).endswith(b"bye\n")
