"""Tasks in pods: commands of the product's image, and images of others, which have nothing of ours.

The whole way: a service with the launcher ``kubernetes``, asked over HTTP, and a real S3 service.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.service import DLI
from tests.support.cluster import Cluster, Namespace
from tests.support.runs import eventually
from tests.support.servers import S3Server
from tests.support.service import Service, in_process
from tests.support.tools import TOOL, load_tools

MIB = 1 << 20


@pytest.fixture(scope="module")
def runs(cluster: Cluster) -> Iterator[Namespace]:
    with cluster.namespace(f"image-tasks-{os.urandom(3).hex()}") as made:
        yield made


@pytest.fixture(scope="module")
def image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    assert cluster.image
    return load_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def service(
    runs: Namespace, pod_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    keys = pod_s3.settings
    with in_process(
        tmp_path_factory.mktemp("service"),
        launcher="kubernetes",
        kubernetes_kubeconfig=runs.cluster.kubeconfig,
        kubernetes_namespace=runs.name,
        kubernetes_image=runs.cluster.image,
        kubernetes_pull_policy="Never",
        warehouse=f"s3://{pod_s3.bucket()}/warehouse",
        s3_endpoint=keys.endpoint,
        s3_access_key=keys.access_key,
        s3_secret_key=keys.secret_key,
        s3_secure=keys.secure,
        run_start_timeout="60s",
        task_commands=("sort", "sh"),
        task_images=("localhost/dli-test-*",),
    ) as made:
        yield made


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as made:
        yield made


def submit(client: httpx.Client, *command: str, **more: Any) -> dict[str, Any]:
    body = {"command": command, "retry": {"attempts": 1}, "memory": "64MiB", **more}
    answer = client.post("/tasks", json=body)
    assert answer.status_code < 300, answer.text
    told: dict[str, Any] = answer.json()
    return told


def end(client: httpx.Client, told: dict[str, Any]) -> dict[str, Any]:
    def now() -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/jobs/{told['id']}").json()
        return found

    eventually(lambda: now()["state"] in {"finished", "failed", "cancelled"})
    return now()


def task(client: httpx.Client, *command: str, **more: Any) -> dict[str, Any]:
    return end(client, submit(client, *command, **more))


@pytest.fixture(scope="module")
def slow(service: Service, image: str) -> dict[str, dict[str, Any]]:
    """Tasks that take their time, which goes on beside the other tests."""
    with service.client() as client:
        return {
            "nowhere": submit(client, TOOL, "exit", "0", image="localhost/dli-test-none:1"),
            "wait": submit(client, TOOL, "wait", image=image, timeout="30s"),
        }


def output(client: httpx.Client, told: dict[str, Any], name: str = "stdout") -> bytes:
    answer = client.get(f"/tasks/{told['id']}/output", params={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.content


def log(client: httpx.Client, told: dict[str, Any]) -> str:
    return client.get(f"/jobs/{told['id']}/logs", params={"stream": "stderr"}).text


def code(told: dict[str, Any]) -> str:
    assert told["state"] == "failed", told
    found: str = told["error"]["code"]
    return found


def test_command_of_the_service_runs_in_its_image(client: httpx.Client) -> None:
    sha256 = client.post("/files", content=b"pear\napple\n").json()["sha256"]
    told = task(client, "sort", stdin={"sha256": sha256})
    assert told["state"] == "finished", told["error"]
    assert told["facts"]["sandbox"] == "pod"
    assert output(client, told) == b"apple\npear\n"


@pytest.mark.usefixtures("slow")
def test_shell_of_the_service_keeps_its_files(client: httpx.Client) -> None:
    told = task(client, "sh", "-c", "mkdir out; id -u > out/who; pwd >&2", outputs=["out/*"])
    assert output(client, told, "out/who") == b"185\n"
    assert log(client, told).endswith("/work/files\n")


def test_hundred_megabytes_go_through_an_image(service: Service, image: str) -> None:
    """Over the command line, as ``dli task run --image IMG -- CMD < in > out``."""
    sent, came = hashlib.sha256(), hashlib.sha256()
    block = bytes(range(256)) * 4096
    command = (DLI, "-q", "task", "run", "--image", image, "--memory", "64MiB")
    environment = {**os.environ, "DLI_URL": service.url, "DLI_TOKEN": service.token}
    with subprocess.Popen(
        [*command, "--", TOOL, "copy"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as dli:
        assert dli.stdin is not None
        assert dli.stdout is not None
        for number in range(100):
            piece = number.to_bytes(8, "big") + block[8:]
            sent.update(piece)
            dli.stdin.write(piece)
        dli.stdin.close()
        size = 0
        while piece := dli.stdout.read(MIB):
            came.update(piece)
            size += len(piece)
    assert (dli.returncode, size) == (0, 100 * MIB)
    assert came.hexdigest() == sent.hexdigest()


def test_files_and_environment_of_an_image(client: httpx.Client, image: str) -> None:
    told = task(client, TOOL, "leave", "made", image=image, outputs=["made"])
    assert told["state"] == "finished", told["error"]
    assert output(client, told, "made") == b"hammer ours 185"
    told = task(
        client, TOOL, "leave", "made", image=image, outputs=["made"], environment={"TOOL": "saw"}
    )
    assert output(client, told, "made") == b"saw ours 185"


def test_exit_code_of_an_image_is_told(client: httpx.Client, image: str) -> None:
    told = task(client, TOOL, "exit", "7", image=image)
    assert (code(told), told["error"]["details"]["exit_code"]) == ("task_failed", 7)
    assert told["attempts"][0]["exit_code"] == 7


def test_command_that_an_image_lacks_is_told(client: httpx.Client, image: str) -> None:
    told = task(client, "saw", image=image)
    assert code(told) == "task_failed"
    assert "cannot start /tools/saw: No such file or directory" in told["error"]["message"]


def test_image_that_is_nowhere_is_told(
    client: httpx.Client, slow: dict[str, dict[str, Any]]
) -> None:
    told = end(client, slow["nowhere"])
    assert code(told) == "run_not_started"
    details = told["error"]["details"]
    assert (details["reason"], details["blame"]) == ("image_unavailable", "user")


def test_image_that_no_pattern_fits_is_refused(client: httpx.Client) -> None:
    answer = client.post("/tasks", json={"command": [TOOL], "image": "localhost/dli-tset-tools:1"})
    assert (answer.status_code, answer.json()["code"]) == (403, "image_refused")
    assert "localhost/dli-test-*" in answer.json()["hint"]


def test_image_over_its_memory_is_ended(client: httpx.Client, image: str) -> None:
    told = task(client, TOOL, "eat", image=image)
    assert code(told) == "task_out_of_memory"


def test_image_that_writes_too_much_is_ended(client: httpx.Client, image: str) -> None:
    told = task(client, TOOL, "flood", image=image, max_output="1MiB")
    assert code(told) == "task_output"


def test_image_over_its_time_is_ended(
    client: httpx.Client, slow: dict[str, dict[str, Any]]
) -> None:
    told = end(client, slow["wait"])
    assert told["state"] == "cancelled", told
    assert log(client, told) == "here\nfarewell\n"


def test_cancelled_image_hears_it(client: httpx.Client, image: str, runs: Namespace) -> None:
    told = submit(client, TOOL, "wait", image=image)
    eventually(lambda: log(client, told) == "here\n")
    client.post(f"/jobs/{told['id']}/cancel")
    assert end(client, told)["state"] == "cancelled"
    assert log(client, told) == "here\nfarewell\n"
    eventually(lambda: runs.get("pods,secrets")["items"] == [])


def test_pod_shows_neither_words_nor_variables(
    client: httpx.Client, image: str, runs: Namespace
) -> None:
    told = submit(client, TOOL, "wait", "hush", image=image, environment={"KEY": "hush"})
    eventually(lambda: runs.get("pods")["items"])
    shown = runs.kubectl("get", "pods", "-o", "yaml")
    assert (image in shown, "hush" in shown) == (True, False)
    client.post(f"/jobs/{told['id']}/cancel")
    end(client, told)
