"""How replicas start where somebody else migrates, and what a worker tells of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from dli.cli.main import run
from dli.migrations.current import SchemaTooOldError, head
from dli.processes import Role, replica
from dli.settings.loading import load
from tests.support.service import child

TOKEN = "metrics-token-of-24-characters"


def start(home: Path, role: Role, **settings: Any) -> Any:
    return replica(load(home=home, port=0, log_level="WARNING", **settings), role=role)


def test_a_worker_answers_probes_and_nothing_else(tmp_path: Path) -> None:
    with start(tmp_path, Role.WORKER, worker_port=0, metrics_token=TOKEN) as worker:
        for path in ("/healthz", "/readyz"):
            assert httpx.get(f"{worker.url}{path}").status_code == 200
        told = httpx.get(f"{worker.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "dli_up 1.0" in told.text
        assert httpx.get(f"{worker.url}/metrics").status_code == 401
        for path in ("/api/v1/statements", "/openapi.json", "/docs"):
            assert httpx.get(f"{worker.url}{path}").status_code == 404
        assert not (tmp_path / "url").exists(), "commands on this machine would ask the worker"


def test_a_worker_that_stops_is_not_ready(tmp_path: Path) -> None:
    with start(tmp_path, Role.WORKER, worker_port=0) as worker:
        worker.services.stopping.set()
        answer = httpx.get(f"{worker.url}/readyz")
        assert (answer.status_code, answer.json()["work"]) == (503, "stopping")
        assert httpx.get(f"{worker.url}/healthz").status_code == 200


def test_a_worker_without_a_port_answers_nothing(tmp_path: Path) -> None:
    with start(tmp_path, Role.WORKER) as worker:
        assert worker.url is None


def test_a_worker_as_a_process_prints_no_address(tmp_path: Path) -> None:
    with child(tmp_path, role="worker", DLI_WORKER_PORT="0") as made:
        made.start()
        assert "dli is ready" not in made.log()
        assert made.stop() == 0


def test_replicas_that_do_not_migrate_need_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DLI_DATABASE_URL", f"sqlite:///{tmp_path / 'meta.db'}")
    with pytest.raises(SchemaTooOldError), start(tmp_path, Role.ALL, migrate=False):
        pass
    assert run(["migrate", "--home", str(tmp_path)]) == 0
    assert f"has the schema {head()}" in capsys.readouterr().out
    with start(tmp_path, Role.ALL, migrate=False) as made:
        assert httpx.get(f"{made.url}/readyz").status_code == 200
