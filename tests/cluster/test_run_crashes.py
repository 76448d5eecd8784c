"""kill -9 of a service whose runs are pods, at the steps of a task: it runs once, nothing is left.

Unlike a process of the service's machine, a pod is seen by the next life from the moment of its
making: a task whose launch is on record nowhere runs once all the same.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service import Service, end_all, start_service
from dli.client import Client
from dli.remote.problems import UnreachableError
from jobs.crash import VARIABLE
from tests.support.cluster import Cluster, Namespace
from tests.support.runs import eventually
from tests.support.servers import S3Server

pytestmark = pytest.mark.timeout(600)

POINTS = ("after_intent", "after_launch", "run_goes_on", "run_ended", "after_adoption")
PYTHON = "/opt/dli/bin/python"
#: Says that it begins, takes a while, and says that it ends.
WORK = """
import sys, time, urllib.request
urllib.request.urlopen(sys.argv[1] + "/begin").read()
time.sleep(1.5)
urllib.request.urlopen(sys.argv[1] + "/end").read()
print("done")
"""


class Diary:
    """What runs have told of themselves, in order."""

    def __init__(self, host: str) -> None:
        self.lines: list[str] = []
        told = self.lines

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.append(self.path.strip("/"))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not to the output of the tests."""

        self._server = ThreadingHTTPServer((host, 0), Page)
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def diary(cluster: Cluster) -> Iterator[Diary]:
    if cluster.host is None:
        pytest.skip("DLI_TEST_POD_HOST does not say where pods reach this machine")
    made = Diary(cluster.host)
    yield made
    made.close()


@pytest.fixture
def environment(cluster: Cluster, namespace: Namespace, pod_s3: S3Server) -> dict[str, str]:
    return {
        "DLI_LAUNCHER": "kubernetes",
        "DLI_KUBERNETES_KUBECONFIG": os.fspath(cluster.kubeconfig),
        "DLI_KUBERNETES_IMAGE": cluster.image,
        "DLI_KUBERNETES_NAMESPACE": namespace.name,
        "DLI_KUBERNETES_PULL_POLICY": "Never",
        "DLI_WAREHOUSE": f"s3://{pod_s3.bucket()}/warehouse",
        "DLI_S3_ENDPOINT": pod_s3.settings.endpoint,
        "DLI_S3_ACCESS_KEY": pod_s3.settings.access_key,
        "DLI_S3_SECRET_KEY": pod_s3.settings.secret_key,
        "DLI_S3_SECURE": "false",
        "DLI_TASK_COMMANDS": PYTHON,
        "DLI_TASK_SANDBOX": "off",
        "DLI_LEASE": "2s",
        "DLI_RUN_LEASE": "15s",
    }


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Service]]:
    """Start lives of a service on one home, which the test may kill."""
    home = tmp_path / "home"
    home.mkdir()
    lives: list[Service] = []

    def made(environment: dict[str, str]) -> Service:
        lives.append(start_service(home, environment=environment))
        return lives[-1]

    yield made
    left = [process for life in lives for process in life.children()]
    for life in lives:
        life.stop()
    end_all(left)


def submit(client: Client, diary: Diary, key: str) -> dict[str, Any]:
    return client.submit_task(
        [PYTHON, "-c", WORK, diary.url], retry={"attempts": 3}, idempotency_key=key, wait="0s"
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_task_in_a_pod_runs_once(
    start: Callable[[dict[str, str]], Service],
    environment: dict[str, str],
    namespace: Namespace,
    diary: Diary,
    point: str,
) -> None:
    key = uuid.uuid4().hex
    life = start(environment if "adoption" in point else environment | {VARIABLE: point})
    life.await_ready()
    with (
        Client(life.url, life.token, patient=False) as client,
        contextlib.suppress(UnreachableError),
    ):
        submit(client, diary, key)
    if "adoption" in point:
        eventually(lambda: diary.lines)
        life.kill()
        life = start(environment | {VARIABLE: point})
    assert life.process.wait(60) == -9, "it died at the point, of nothing else"
    again = start(environment)
    again.await_ready()
    with again.client() as client:
        job = client.wait_job(client.job(submit(client, diary, key)["id"]))
        assert job["state"] == "finished", job["error"]
        assert diary.lines == ["begin", "end"], "once, and to its end"
        assert [each["id"] for each in client.jobs(kind="task")] == [job["id"]]
        with client.log(job["id"]) as pieces:
            assert b"".join(pieces) == b"done\n"
    eventually(lambda: not namespace.get("pods")["items"])
    eventually(lambda: not namespace.get("secrets")["items"])
    assert again.stop() == 0
