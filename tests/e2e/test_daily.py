"""A daily pipeline of SQL, a task and a Spark program over thirty days, killed in the middle."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import DLI, Service
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that, of_home

ENVIRONMENT = {"DLI_LEASE": "2s", "DLI_RUN_LEASE": "20s", "DLI_TASK_COMMANDS": "sh"}
ENVIRONMENT |= {"DLI_TASK_SANDBOX": "off"}  # its notes lie outside its folder
PIPELINE = """
name: daily
parameters: {{day: date}}
parallel: 2
nodes:
  count:
    sql: >-
      INSERT INTO default.daily SELECT CAST(:day AS DATE) AS day, count(*) AS n FROM range(100)
    parameters: {{day: {{ref: params.day}}}}
    retry: {{attempts: 3}}
  note:
    kind: task
    needs: [count]
    command: [sh, -c, 'echo "$DAY" >> {notes}; echo "$DAY"']
    environment: {{DAY: {{ref: params.day}}}}
  score:
    kind: batch
    needs: [note]
    program: {{name: score.py, sha256: {program}}}
    session: connect
    arguments: [{{ref: params.day}}]
"""
PROGRAM = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(sys.argv[1], spark.range(1000).count())
"""


def dli(service: Service, *words: str) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(
        [DLI, *words],
        env=service.environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def backfill(service: Service, backfill_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dli(service, "pipeline", "status", backfill_id, "--json"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("days", [30])
def test_a_backfill_goes_on_after_a_kill(starter: Starter, tmp_path: Path, days: int) -> None:
    home, notes = tmp_path / "home", tmp_path / "notes"
    program = tmp_path / "score.py"
    program.write_text(PROGRAM)
    service = starter(home, environment=ENVIRONMENT)
    service.await_ready()
    with service.client() as client:
        client.run("CREATE TABLE default.daily (day DATE, n BIGINT)")
        sha256 = client.upload(program)["sha256"]
    file = tmp_path / "daily.yaml"
    file.write_text(PIPELINE.format(notes=notes, program=sha256))
    dli(service, "pipeline", "apply", "-f", str(file))
    words = ("--from", "2026-11-01", "--to", f"2026-11-{days:02}", "--parallel", "2")
    told = json.loads(
        dli(service, "pipeline", "backfill", "daily", *words, "--max-cost", "1", "--json")
    )
    assert await_that(
        lambda: notes.exists() and len(notes.read_text().split()) >= days // 4, seconds=400
    )
    service.kill()
    again = starter(home, environment=ENVIRONMENT)
    again.await_ready()
    ends = {"finished", "failed", "cancelled"}
    done = lambda: backfill(again, told["id"])["state"] in ends  # noqa: E731
    assert await_that(done, seconds=600, every=2)
    ended = backfill(again, told["id"])
    assert (ended["state"], ended["counts"]) == ("finished", {"succeeded": days})
    with again.client() as client:
        rows = client.query("SELECT day, n FROM default.daily ORDER BY day").to_pylist()
        assert [row["day"].day for row in rows] == list(range(1, days + 1)), "each day once"
        batches = list(client.jobs(kind="batch", limit=200))
        assert {job["state"] for job in batches} <= {"finished"}
    assert len(set(notes.read_text().split())) == days
    assert again.stop() == 0
    assert of_home(home) == []
