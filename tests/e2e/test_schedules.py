"""A schedule of every second through a real service that is killed: each due time is one job."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import DLI, Service, pause, running_service
from benchmarks.tour import Step, comparable, steps_of
from dli.client import Client
from jobs.crash import AUTOMATION_POINTS, VARIABLE
from tests.e2e.conftest import Starter
from tests.e2e.processes import await_that, of_home
from tests.support.automation import target

GUIDE = Path(__file__).parents[2] / "docs" / "schedules.md"
LEASE = {"DLI_LEASE": "1s"}
JOB = {"kind": "statement", "sql": "SELECT :at AS at", "parameters": {"at": {"ref": "due_at"}}}
FIRING_POINTS = [point for point in AUTOMATION_POINTS if "firing" in point]


def create(service: Service) -> None:
    with service.client() as client:
        client.create_schedule("each-second", job=JOB, every="1s", missed="all", missed_most=1000)


def firings(client: Client) -> list[dict[str, Any]]:
    return client.schedule_firings("each-second", 1000)


def fired(service: Service, count: int) -> bool:
    with service.client() as client:
        return len([each for each in firings(client) if each["state"] == "fired"]) >= count


def check_each_once(service: Service) -> None:
    """No due time without its one job, from the first to the last."""
    with service.client() as client:
        client.pause_schedule("each-second")
        done = lambda: all(  # noqa: E731
            each["state"] == "fired" for each in firings(client)
        )
        assert await_that(done, seconds=60)
        found = sorted(firings(client), key=lambda each: each["due_at"])
        times = [datetime.fromisoformat(each["due_at"]) for each in found]
        assert times == [times[0] + timedelta(seconds=number) for number in range(len(times))]
        statements = list(client.statements(label="dli.schedule=each-second", limit=1000))
        assert sorted(each["id"] for each in statements) == sorted(each["job"] for each in found)
        for each in found[:: max(len(found) // 5, 1)]:
            result = client.wait(client.statement(each["job"])).raw["result"]
            at = datetime.fromisoformat(str(result["inline"][0][0]).replace(" ", "T"))
            assert at.replace(tzinfo=None) == datetime.fromisoformat(each["due_at"]).replace(
                tzinfo=None
            )


def test_each_second_is_one_job_whatever_is_killed(starter: Starter, tmp_path: Path) -> None:
    home = tmp_path / "home"
    service = starter(home, environment=LEASE)
    service.await_ready()
    create(service)
    assert await_that(lambda: fired(service, 3), seconds=30)
    for _ in range(2):
        service.kill()
        pause(1)
        service = starter(home, environment=LEASE)
        service.await_ready()
        pause(1)
    check_each_once(service)
    assert service.stop() == 0
    assert of_home(home) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", FIRING_POINTS)
def test_a_crash_at_each_step_of_a_firing_loses_and_doubles_nothing(
    starter: Starter, tmp_path: Path, point: str
) -> None:
    home = tmp_path / "home"
    service = starter(home, environment=LEASE | {VARIABLE: f"{point}:3"})
    service.await_ready()
    create(service)
    service.process.wait(60)
    again = starter(home, environment=LEASE)
    again.await_ready()
    assert await_that(lambda: fired(again, 5), seconds=60)
    check_each_once(again)
    assert again.stop() == 0


def test_a_notification_that_was_taken_before_kill_9_is_sent_again_as_the_same(
    starter: Starter, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    open_ = LEASE | {"DLI_WEBHOOK_PRIVATE_TARGETS": "true", "DLI_WEBHOOK_TIMEOUT": "2s"}
    with target() as told:
        service = starter(home, environment=open_ | {VARIABLE: "after_delivery"})
        service.await_ready()
        with Client(service.url, service.token, patient=False) as client:
            client.create_webhook("ends", f"{told.url}/hook")
            job = client.submit("SHOW DATABASES", wait="0s")
            service.process.wait(60)
        assert service.process.returncode == -9, "it died at the point, of nothing else"
        assert len(told.received) == 1
        again = starter(home, environment=open_)
        again.await_ready()
        with again.client() as client:
            delivered = lambda: (  # noqa: E731
                [each["state"] for each in client.deliveries("ends")] == ["delivered"]
            )
            assert await_that(delivered, seconds=90)
            assert client.job(job.id)["state"] == "finished"
    first, second = told.received
    assert first.body == second.body, "at least once, and told apart by its id"
    assert json.loads(first.body)["job"]["id"] == job.id


def test_the_guide_prints_what_is_written(tmp_path: Path) -> None:
    for step, output in played(GUIDE.read_text(encoding="utf-8"), tmp_path):
        assert told(output) == told(step.output), step.command


def told(text: str) -> str:
    """The text without what differs from run to run."""
    lines = [line.rstrip() for line in re.sub(r"\btrg_\w+", "trg_…", text).splitlines()]
    return comparable("\n".join(lines))


def played(page: str, folder: Path) -> Iterator[tuple[Step, str]]:
    """Each command of the guide with what it prints now."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    with running_service(home) as service:
        path = f"{DLI.parent}:/usr/local/bin:/usr/bin:/bin"
        environment = service.environment() | {"PATH": path, "TERM": "dumb", "LC_ALL": "C"}
        for step in steps_of(page):
            done = subprocess.run(
                ["/bin/bash", "-c", step.command], cwd=work, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
            )  # fmt: skip
            yield step, done.stdout.replace(str(home), "$DLI_HOME")
