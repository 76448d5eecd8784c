"""Pipelines over the command line: the guide's commands, and kill -9 in the middle of a run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import DLI, Service, running_service
from benchmarks.tour import Step, comparable, rewritten, steps_of
from dli.client import Client
from jobs.crash import VARIABLE
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that

pytestmark = pytest.mark.xdist_group("e2e")

GUIDE = Path(__file__).parents[2] / "docs" / "pipelines.md"
#: Short, so that the next start need not wait long for the leases of the dead one.
LEASE = {"DLI_LEASE": "2s"}


def shell(service: Service, command: str, folder: Path) -> str:
    path = f"{DLI.parent}:/usr/local/bin:/usr/bin:/bin"
    environment = service.environment() | {"PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=folder, env=environment, text=True, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def plain(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"\b(plr|pbf)_\w+", r"\1_…", text)
    return comparable(text)


def played(folder: Path) -> list[Step]:
    """The guide's commands with what they print now."""
    page = GUIDE.read_text(encoding="utf-8")
    (text,) = re.findall(r"(?<=```yaml\n).*?(?=```)", page, re.S)
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    (work / "daily.yaml").write_text(text, encoding="utf-8")
    with running_service(home) as service:
        return [
            Step(command=step.command, output=shell(service, step.command, work))
            for step in steps_of(page)
        ]


def test_the_guide_prints_what_is_written(tmp_path: Path) -> None:
    page = GUIDE.read_text(encoding="utf-8")
    found = played(tmp_path)
    (tmp_path / "pipelines.md").write_text(rewritten(page, found), encoding="utf-8")
    for written, now in zip(steps_of(page), found, strict=True):
        assert plain(now.output) == plain(written.output), (
            f"{now.command}\n{now.output}\nas it is now: {tmp_path / 'pipelines.md'}"
        )


TEXT: dict[str, Any] = {
    "name": "nightly",
    "nodes": {
        "load": {"kind": "statement", "sql": "CREATE TABLE t AS SELECT 1 AS x"},
        "slow": {"kind": "statement", "sql": "SELECT 2", "needs": ["load"]},
        "add": {"kind": "statement", "sql": "INSERT INTO t SELECT 2", "needs": ["slow"]},
        "count": {"kind": "statement", "sql": "SELECT count(*) FROM t"},
    },
}


@pytest.mark.parametrize(
    "point",
    [
        "pipeline_before_submit:3",  # the third node is written down, its job is not there
        pytest.param("pipeline_after_submit:2", marks=pytest.mark.slow),  # … the run knows no job
        pytest.param("pipeline_node_ended:1", marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_after_kill_9_and_does_nothing_twice(
    starter: Starter, tmp_path: Path, point: str
) -> None:
    home = tmp_path / "home"
    service = starter(home, environment=LEASE | {VARIABLE: point})
    service.await_ready()
    with Client(service.url, service.token, patient=False) as client:
        client.pipelines.apply("nightly", TEXT)
        run = client.pipelines.run("nightly")
        service.process.wait(60)
    assert service.process.returncode == -9, "it died at the point, of nothing else"
    again = starter(home, environment=LEASE)
    again.await_ready()
    with again.client() as client:
        ended = client.wait_job(client.job(run["id"]))
        assert ended["state"] == "finished", ended["error"]
        children = list(client.jobs(parent=run["id"]))
        assert sorted(job["node"] for job in children) == ["add", "count", "load", "slow"]
        nodes = {node["name"]: node for node in client.pipelines.run_status(run["id"])["nodes"]}
        assert nodes["count"]["outputs"]["value"]["value"] == 2
        assert {node["state"] for node in nodes.values()} == {"succeeded"}
        assert {node["attempt"] for node in nodes.values()} == {1}


def test_a_backfill_goes_on_after_kill_9_with_one_run_for_each_day(
    starter: Starter, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    service = starter(home, environment=LEASE | {VARIABLE: "backfill_before_submit:2"})
    service.await_ready()
    days = {
        "parameters": {"day": {"type": "date"}},
        "nodes": {"show": {"kind": "statement", "sql": "SHOW DATABASES"}},
    }
    with Client(service.url, service.token, patient=False) as client:
        client.pipelines.apply("days", days)
        span = {"from": "2026-01-01", "to": "2026-01-03", "parallel": 1}
        backfill = client.pipelines.start_backfill("days", **span)
        service.process.wait(60)
    assert service.process.returncode == -9, "it died at the point, of nothing else"
    again = starter(home, environment=LEASE)
    again.await_ready()
    with again.client() as client:
        ended = lambda: client.pipelines.backfill(backfill["id"])["ended_at"] is not None  # noqa: E731
        assert await_that(ended, seconds=60)
        found = client.pipelines.backfill(backfill["id"])
        assert (found["state"], found["counts"]) == ("finished", {"succeeded": 3})
        assert [day["attempt"] for day in found["days"]] == [1, 1, 1]
        runs = sorted(run["id"] for run in client.pipelines.runs("days"))
        assert runs == sorted(day["run"] for day in found["days"])
