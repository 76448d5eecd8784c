"""What the commands about schedules, triggers and webhooks send and show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dli.cli.main import run
from tests.support.fake_service import FakeService, Reply, fake_service

API = "/api/v1"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeService]:
    with fake_service() as service:
        monkeypatch.setenv("DLI_URL", service.url)
        monkeypatch.setenv("DLI_TOKEN", "dli_secret")
        monkeypatch.setenv("DLI_HOME", str(tmp_path))
        monkeypatch.setenv("DLI_CONFIG", str(tmp_path / "none.toml"))
        yield service


@pytest.fixture
def job(tmp_path: Path) -> str:
    path = tmp_path / "f.yaml"
    path.write_text("kind: statement\nsql: SELECT :day\nparameters:\n  day: {ref: due_date}\n")
    return str(path)


JOB = {"kind": "statement", "sql": "SELECT :day", "parameters": {"day": {"ref": "due_date"}}}


def test_a_schedule_is_sent_as_it_was_written(service: FakeService, job: str) -> None:
    service.on(f"POST {API}/schedules", Reply(status=201, body={"next_due": "2026-01-01"}))
    words = ["schedule", "create", "nightly", "--cron", "0 3 * * *", "--tz", "Europe/Berlin"]
    words += ["--job", job, "--missed", "all", "--missed-most", "3", "--overlap", "cancel_old"]
    assert run([*words, "--jitter", "30s"]) == 0
    assert service.asked[0].body == {
        "name": "nightly",
        "job": JOB,
        "paused": False,
        "cron": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "missed": "all",
        "missed_most": 3,
        "overlap": "cancel_old",
        "jitter": "30s",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trigger", "create", "t", "--webhook", "--schedule", "n"], "--schedule has a meaning"),
        (["trigger", "create", "t", "--webhook", "--every", "5s"], "--every has a meaning with"),
        (["trigger", "create", "t", "--job-end", "--existing"], "meaning with --object only"),
        (["trigger", "create", "t", "--object", "/x", "--label", "a=b"], "with --job-end only"),
        (["trigger", "create", "t", "--object", "/x", "--every", "5"], "'5' is not a span"),
        (["schedule", "create", "s"], "choose one of --cron, --every and --at"),
        (["schedule", "create", "s", "--at", "noon"], "--at: 'noon' is not a moment"),
    ],
)
def test_what_would_have_no_effect_is_bad_usage(
    service: FakeService,
    job: str,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*words, "--job", job]) == 2
    assert said in capsys.readouterr().err
    assert service.asked == []


@pytest.mark.parametrize(
    ("words", "on"),
    [
        (["--object", "s3://b/x/", "--every", "30s"],
         {"type": "object", "prefix": "s3://b/x/", "every": "30s", "existing": False}),
        (["--webhook"], {"type": "webhook"}),
        (["--job-end", "--state", "finished", "--schedule", "nightly", "--label", "a=b"],
         {"type": "job", "states": ["finished"], "schedule": "nightly", "labels": {"a": "b"}}),
    ],
)  # fmt: skip
def test_a_trigger_is_sent_as_it_was_written(
    service: FakeService, job: str, words: list[str], on: dict[str, Any]
) -> None:
    made = {"hook": "/api/v1/hooks/trg_1", "secret": "whs_x"}
    service.on(f"POST {API}/triggers", Reply(status=201, body=made))
    assert run(["trigger", "create", "t", *words, "--job", job]) == 0
    assert service.asked[0].body == {"name": "t", "on": on, "job": JOB}


def test_a_secret_is_all_that_is_printed(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(f"POST {API}/webhooks", Reply(status=201, body={"secret": "whs_secret"}))
    words = ["webhook", "create", "alarm", "https://host/x", "--event", "job.failed"]
    assert run([*words, "--label", "team=a"]) == 0
    assert capsys.readouterr().out == "whs_secret\n"
    assert service.asked[0].body == {
        "name": "alarm", "url": "https://host/x", "events": ["job.failed"], "labels": {"team": "a"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["schedule", "create", "x", "--cron", "@daily", "--every", "5m"],
        ["trigger", "create", "x"],
        ["trigger", "create", "x", "--webhook", "--job-end"],
    ],
)
def test_what_cannot_be_meant_is_bad_usage(
    service: FakeService, job: str, words: list[str]
) -> None:
    assert run([*words, "--job", job]) == 2
    assert service.asked == []


def test_a_file_with_a_mistake_is_bad_usage(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("kind: statement\nkind: batch\n")
    assert run(["schedule", "create", "x", "--cron", "@daily", "--job", str(path)]) == 2
    assert "line 2" in capsys.readouterr().err
    assert run(["schedule", "create", "x", "--cron", "@daily", "--job", "/none"]) == 2
    assert run(["schedule", "update", "x"]) == 2
    assert service.asked == []


def test_lists_are_tables(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    item = {"name": "nightly", "cron": "0 3 * * *", "job": {"kind": "batch"}, "paused": True}
    service.on(f"GET {API}/schedules", Reply(body={"items": [item], "next_cursor": None}))
    fired: dict[str, Any] = {
        "due_at": "2026-01-01T03:00:00.000Z",
        "state": "skipped",
        "reason": "overlap",
    }
    fired |= {"error": {"code": "invalid_location", "message": "'app.py' is not an absolute path"}}
    page = Reply(body={"items": [fired] * 3, "next_cursor": None})
    service.on(f"GET {API}/schedules/nightly/firings", page)
    service.on(f"GET {API}/webhooks/w/deliveries", Reply(body={"items": [], "next_cursor": None}))
    service.on(
        f"GET {API}/schedules/nightly/next",
        Reply(body={"items": [{"due_at": "2026-01-01T02:00:00Z", "local": "03:00"}]}),
    )
    assert run(["schedule", "list"]) == 0
    assert "batch" in capsys.readouterr().out
    assert run(["schedule", "firings", "nightly", "-n", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("overlap") == out.count("'app.py' is not an absolute path") == 2
    assert run(["schedule", "next", "nightly"]) == 0
    assert "03:00" in capsys.readouterr().out
    assert run(["webhook", "deliveries", "w"]) == 0
    assert "none" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["pause", "resume", "run"])
def test_verbs_are_posts_with_a_key(service: FakeService, verb: str) -> None:
    service.on(f"POST {API}/schedules/n/{verb}", Reply(body={"id": "fir_1", "next_due": None}))
    assert run(["schedule", verb, "n"]) == 0
    assert service.asked[0].headers["Idempotency-Key"]


def test_files_beside_a_job_file_are_uploaded(service: FakeService, tmp_path: Path) -> None:
    service.on(f"POST {API}/files", Reply(status=201, body={"sha256": "ab" * 32}))
    service.on(f"POST {API}/schedules", Reply(status=201, body={"next_due": "2026-01-01"}))
    service.on(f"POST {API}/triggers", Reply(status=201, body={"hook": "/h", "secret": "s"}))
    service.on(f"PATCH {API}/schedules/s", Reply(status=200, body={"next_due": "2026-01-01"}))
    (tmp_path / "lib").mkdir()
    for name in ("app.py", "lib/more.py"):
        (tmp_path / name).write_text("print()")
    kept = {name: {"name": name, "sha256": "ab" * 32} for name in ("app.py", "more.py")}
    job = tmp_path / "job.yaml"
    job.write_text(
        "kind: batch\nprogram: app.py\npy_files: [lib/more.py, 's3://b/c.py', /srv/d.py]\n"
        "files: [{ref: object_uri}]\narguments: [app.py]\n"
    )
    made: dict[str, Any] = {"kind": "batch", "program": kept["app.py"], "arguments": ["app.py"]}
    made |= {"py_files": [kept["more.py"], "s3://b/c.py", "/srv/d.py"]}
    made |= {"files": [{"ref": "object_uri"}]}
    assert run(["schedule", "create", "s", "--every", "1h", "--job", str(job)]) == 0
    assert run(["schedule", "update", "s", "--job", str(job)]) == 0
    assert run(["trigger", "create", "t", "--webhook", "--job", str(job)]) == 0
    bodies = [each.body for each in service.asked if isinstance(each.body, dict)]
    assert [each["job"] for each in bodies if "job" in each] == [made, made, made]


@pytest.mark.parametrize("kind", ["batch", "task"])
def test_a_file_that_is_not_beside_it_is_told(
    service: FakeService, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(f"kind: {kind}\nfiles: [gone.csv]\n")
    assert run(["schedule", "create", "s", "--every", "1h", "--job", str(job)]) == 2
    assert f"files: there is no file {tmp_path}/gone.csv" in capsys.readouterr().err
    assert service.asked == []
