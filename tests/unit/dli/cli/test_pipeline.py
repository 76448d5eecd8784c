"""``dli pipeline`` against an answering service: what is sent, what is shown, how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dli.cli.main import run
from tests.support.fake_service import FakeService, Reply, fake_service

V1 = "/api/v1"
RUN: dict[str, Any] = {
    "id": "plr_1",
    "kind": "pipeline",
    "name": "daily",
    "revision": 2,
    "state": "failed",
    "terminal": True,
    "cost": {"amount": "0.000001000", "currency": "USD"},
    "error": {"code": "pipeline_failed", "message": "node bad failed", "hint": "mend it"},
    "nodes": [
        {"name": "load", "state": "succeeded", "job": "stm_1", "attempt": 1, "reason": None,
         "outputs": {"rows": 7}, "error": None},
        {"name": "bad", "state": "failed", "job": "stm_2", "attempt": 3, "reason": None,
         "outputs": {}, "error": {"code": "x", "message": "it broke"}},
    ],
}  # fmt: skip
MONEY = {"amount": "0.500000000", "currency": "USD"}
BACKFILL: dict[str, Any] = {
    "id": "pbf_1",
    "pipeline": "daily",
    "revision": 2,
    "state": "failed",
    "counts": {"succeeded": 1, "failed": 1},
    "max_cost": MONEY,
    "spent": MONEY,
    "reason": "1 of 2 days did not succeed",
    "ended_at": "2026-01-01T00:00:00Z",
    "days": [{"day": "2026-01-01", "state": "failed", "run": "plr_1", "spent": MONEY,
              "reason": "node bad failed"}],
}  # fmt: skip


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeService]:
    with fake_service() as service:
        monkeypatch.setenv("DLI_URL", service.url)
        monkeypatch.setenv("DLI_TOKEN", "dli_secret")
        monkeypatch.setenv("DLI_HOME", str(tmp_path))
        monkeypatch.setenv("DLI_CONFIG", str(tmp_path / "none.toml"))
        monkeypatch.chdir(tmp_path)
        yield service


def test_apply_sends_the_file_and_tells_the_revision(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.yaml").write_text("name: daily\nnodes:\n  a: {sql: SELECT 1}\n")
    service.on(f"PUT {V1}/pipelines/daily", Reply(body={"new": True, "revision": 3}))
    assert run(["pipeline", "apply", "-f", "p.yaml"]) == 0
    assert service.asked[0].body == {"name": "daily", "nodes": {"a": {"sql": "SELECT 1"}}}
    assert "pipeline daily is at revision 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "method", "path"),
    [
        (["apply"], "PUT", ""),
        (["apply", "--dry-run"], "POST", "/plan"),
        (["diff", "daily"], "POST", "/diff"),
    ],
)
def test_files_beside_a_pipeline_are_uploaded(
    service: FakeService, tmp_path: Path, words: list[str], method: str, path: str
) -> None:
    (tmp_path / "app.py").write_text("print()")
    text = "name: daily\nnodes:\n  a: {kind: batch, program: app.py}\n  b: {sql: SELECT 1}\n"
    (tmp_path / "p.yaml").write_text(text)
    service.on(f"POST {V1}/files", Reply(status=201, body={"sha256": "ab" * 32}))
    service.on(f"{method} {V1}/pipelines/daily{path}", Reply(body={"new": True, "revision": 1}))
    run(["pipeline", *words, "-f", "p.yaml", "--json"])
    program = {"name": "app.py", "sha256": "ab" * 32}
    body = service.asked[-1].body
    sent = body if method == "PUT" else body["pipeline"]
    assert sent["nodes"] == {"a": {"kind": "batch", "program": program}, "b": {"sql": "SELECT 1"}}


def test_a_file_without_a_name_is_not_sent(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.yaml").write_text("nodes: {}\n")
    assert run(["pipeline", "apply", "-f", "p.yaml"]) == 2
    assert "name is missing" in capsys.readouterr().err
    assert service.asked == []


def test_a_failed_run_is_shown_by_its_nodes(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(f"POST {V1}/pipelines/daily/runs", Reply(status=202, body=RUN))
    service.on(f"GET {V1}/runs/plr_1", Reply(body=RUN))
    words = ["pipeline", "run", "daily", "-p", "day=2026-01-31", "-p", "n:int=5", "--wait"]
    assert run([*words, "--max-cost", "1", "--label", "a=b"]) == 1
    asked = service.asked[0]
    assert asked.headers["Idempotency-Key"]
    assert asked.body == {
        "parameters": {"day": "2026-01-31", "n": 5}, "max_cost": "1", "labels": {"a": "b"}
    }  # fmt: skip
    out, err = capsys.readouterr()
    assert "it broke" in out
    assert "node bad failed" in err


def test_a_backfill_is_watched_to_its_end(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(f"POST {V1}/pipelines/daily/backfills", Reply(status=202, body=BACKFILL))
    words = ["pipeline", "backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-02"]
    assert run([*words, "--max-cost", "0.50", "--parallel", "2", "--wait"]) == 1
    assert service.asked[0].body == {
        "from": "2026-01-01", "to": "2026-01-02", "max_cost": "0.50", "parallel": 2
    }  # fmt: skip
    out, err = capsys.readouterr()
    assert "2026-01-01" in out
    assert "1 of 2 days did not succeed" in err


@pytest.mark.parametrize(("which", "path"), [("plr_1", "runs"), ("pbf_1", "backfills")])
def test_an_id_tells_what_is_meant(service: FakeService, which: str, path: str) -> None:
    body = RUN if which == "plr_1" else BACKFILL
    service.on(f"GET {V1}/{path}/{which}", Reply(body=body))
    service.on(f"POST {V1}/{path}/{which}/resume", Reply(status=202, body=body))
    assert run(["pipeline", "status", which]) == 0
    assert run(["pipeline", "resume", which, "--max-cost", "2"]) == 0
    assert service.asked[1].body == {"max_cost": "2"}


def test_a_diff_is_told_line_by_line(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    diff = {
        "same": False,
        "fields": {"parallel": {"before": 8, "after": 2}},
        "added": ["new"],
        "removed": ["old"],
        "changed": {"a": {"sql": {"before": "SELECT 1", "after": None}}},
    }
    service.on(f"GET {V1}/pipelines/daily/diff", Reply(body=diff))
    assert run(["pipeline", "diff", "daily", "1", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "+ node new",
        "- node old",
        "~ parallel: 8 -> 2",
        "~ a.sql: SELECT 1 -> nothing",
    ]


def test_a_dry_run_starts_nothing(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    edge = {"before": "b", "after": "a", "reason": "reads default.t", "inferred": True}
    node = {"name": "a", "kind": "statement", "after": [edge], "price": MONEY, "unpriced": None}
    plan = {"nodes": [node], "price": MONEY, "complete": False, "max_cost": None}
    service.on(f"POST {V1}/pipelines/daily/plan", Reply(body=plan))
    assert run(["pipeline", "run", "daily", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "b (reads default.t)" in out
    assert "at least USD 0.50" in out
    service.on(f"POST {V1}/pipelines/daily/plan", Reply(body=plan))
    assert run(["pipeline", "run", "daily", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plan


@pytest.mark.parametrize("kind", ["job", "pipeline"])
def test_the_schema_of_a_file_is_printed(
    service: FakeService, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(f"GET {V1}/schemas/{kind}.json", Reply(body={"title": kind}))
    assert run([kind, "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == {"title": kind}


def test_a_run_shown_as_a_job_has_its_nodes_as_a_table(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = {"load": {"state": "succeeded", "job": "stm_1", "attempt": 1, "outputs": {"rows": 7}}}
    job = RUN | {"queue": "default", "priority": 0, "created_at": "2026-01-01", "timings_ms": {}}
    service.on(f"GET {V1}/jobs/plr_1", Reply(body=job | {"facts": {"nodes": nodes}}))
    assert run(["job", "show", "plr_1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["node", "state", "job", "attempt"] in lines
    assert ["load", "succeeded", "stm_1", "1"] in lines


def test_sizes_of_a_job_are_shown_as_people_read_them(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {"peak_memory": 172_060_672, "size": {"cores": 1, "memory_bytes": 2**32}, "end": "done"}
    job = RUN | {"queue": "default", "priority": 0, "created_at": "2026-01-01", "timings_ms": {}}
    service.on(f"GET {V1}/jobs/bat_1", Reply(body=job | {"kind": "batch", "facts": facts}))
    assert run(["job", "show", "bat_1"]) == 0
    out = capsys.readouterr().out
    assert "172.1 MB" in out
    assert "memory_bytes=4.3 GB" in out
