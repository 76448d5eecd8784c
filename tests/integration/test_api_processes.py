"""The service as a process: it starts once, says why it cannot, drains, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.service import Child, child

SLOW = "SELECT count(*) AS n FROM range(20000) a JOIN range(20000) b ON a.id <> b.id"


def start_badly(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a service that is expected to end by itself."""
    code = (
        "import sys; from dli.processes import run; from dli.settings.loading import load; "
        "sys.exit(run(load()))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "DLI_HOME": str(home), "DLI_PORT": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_says_where_it_is_and_drains_on_sigterm(tmp_path: Path) -> None:
    with child(tmp_path / "home", DLI_GRACE="50s") as made:
        service = made.start()
        assert f"dli is ready at {service.url}" in made.log()
        assert service.token not in made.log()
        assert stat.S_IMODE((service.home / "token").stat().st_mode) == 0o600
        statuses: list[tuple[int, str]] = []

        def submit() -> None:
            with service.client() as client:
                answer = client.post("/statements", json={"sql": SLOW, "wait": "60s"})
                statuses.append((answer.status_code, answer.json()["state"]))

        thread = threading.Thread(target=submit)
        thread.start()
        with service.client() as client:
            for _ in range(200):
                items = client.get("/statements").json()["items"]
                if items and items[0]["state"] == "running":
                    break
                threading.Event().wait(0.05)
        family = psutil.Process(service.pid).children(recursive=True)
        assert family
        assert made.stop() == 0
        thread.join()
        assert statuses == [(200, "finished")]
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []


def test_a_killed_service_comes_back_and_forgets_nothing(tmp_path: Path) -> None:
    with child(tmp_path / "home") as made:
        service = made.start()
        with service.client() as client:
            key = {"Idempotency-Key": "before"}
            body = {"sql": "SELECT 7 AS n", "wait": "60s"}
            told = client.post("/statements", json=body, headers=key).json()
        family = psutil.Process(service.pid).children(recursive=True)
        made.kill()
        again = made.start()
        assert again.token == service.token
        with again.client() as client:
            assert client.get(f"/statements/{told['id']}").json()["state"] == "finished"
            assert client.get(f"/statements/{told['id']}/result").status_code == 200
            repeated = client.post("/statements", json=body, headers=key).json()
            assert repeated["id"] == told["id"]
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []


def test_a_second_service_on_the_home_is_told(tmp_path: Path) -> None:
    with child(tmp_path / "home") as made:
        service = made.start()
        second = start_badly(service.home)
        assert second.returncode == 1
        assert f"another service (process {service.pid})" in second.stderr
        assert httpx.get(f"{service.url}/readyz").status_code == 200


def test_a_busy_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = start_badly(tmp_path / "home", DLI_PORT=port)
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"DLI_DATABASE_URL": "postgresql://u:secret-word@127.0.0.1:1/d"}, "does not answer"),
        ({"DLI_DATABASE_URL": "mysql://u:secret-word@h/d"}, "no database driver"),
        ({"DLI_WAREHOUSE": "s3://bucket"}, "no S3 service"),
        ({"DLI_WAREHOUSE": "relative"}, "neither an absolute folder"),
        ({"DLI_PRICES": "/none/prices.toml"}, "price list"),
        ({"DLI_HOME": "/proc/none"}, "cannot be used"),
    ],
)
def test_what_it_cannot_start_with_is_told(
    tmp_path: Path, environment: dict[str, str], reason: str
) -> None:
    done = start_badly(tmp_path / "home", **environment)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret-word" not in done.stderr + done.stdout


def test_logs_are_json_with_the_ids_of_the_request(tmp_path: Path) -> None:
    with child(tmp_path / "home") as made:
        service = made.start()
        with service.client(**{"X-Request-Id": "ask-1"}) as client:
            client.post("/statements", json={"sql": "SHOW DATABASES /* hush */"})
        made.stop()
        lines = [json.loads(line) for line in made.log().splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("request") == "ask-1"]
    assert [line["status"] for line in mine if line["event"] == "request"] == [200]
    assert {line["event"] for line in lines} >= {"started", "stopping"}
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert service.token not in made.log()
    assert "hush" not in made.log()


def test_an_api_replica_leaves_the_work_to_a_worker(tmp_path: Path, postgres_url: str) -> None:
    shared = {
        "DLI_DATABASE_URL": postgres_url,
        "DLI_WAREHOUSE": str(tmp_path / "warehouse"),
        "DLI_ADMIN_TOKEN": "dli_" + "s" * 40,
    }
    with (
        child(tmp_path / "api", role="api", **shared) as api,
        child(tmp_path / "worker", role="worker", **shared) as worker,
    ):
        service = api.start()
        with service.client() as client:
            waiting = client.post("/statements", json={"sql": "SELECT 5 AS n", "wait": "1s"})
            assert (waiting.status_code, waiting.json()["state"]) == (202, "queued")
            worker.start()
            path = f"/statements/{waiting.json()['id']}"
            for _ in range(30):
                told = client.get(path, params={"wait": "2s"}).json()
                if told["terminal"]:
                    break
            assert told["state"] == "finished", told
            assert told["result"]["inline"] == [[5]]
            assert client.get(f"{path}/result").status_code == 200
        assert engines_of(api) == 0
        assert engines_of(worker) == 1


def engines_of(made: Child) -> int:
    """How many engines a replica has started."""
    return len(list((made.home / "engines" / "runs").iterdir()))


def test_a_second_signal_cuts_the_waiting_short(tmp_path: Path) -> None:
    with child(tmp_path / "home") as made:
        service = made.start()
        endless = SLOW.replace("20000", "2000000")
        with service.client() as client:
            client.post("/statements", json={"sql": endless, "wait": "3s"})
        assert made.process is not None
        made.process.send_signal(signal.SIGTERM)
        threading.Event().wait(1)
        assert made.process.poll() is None
        assert made.stop(15) == 0
