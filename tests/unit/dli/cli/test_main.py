from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from dli.cli.commands import COMMANDS
from dli.cli.endings import told
from dli.cli.main import command_in, run, shared_first
from tests.support.envelopes import STATEMENT_ID, envelope
from tests.support.fake_service import FakeService, Reply, fake_service

STATEMENTS = "POST /api/v1/statements"
ONE = f"GET /api/v1/statements/{STATEMENT_ID}"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeService]:
    with fake_service() as service:
        monkeypatch.setenv("DLI_URL", service.url)
        monkeypatch.setenv("DLI_TOKEN", "dli_secret")
        monkeypatch.setenv("DLI_HOME", str(tmp_path))
        monkeypatch.setenv("DLI_CONFIG", str(tmp_path / "none.toml"))
        yield service


def test_finished_statement_prints_its_rows(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(STATEMENTS, Reply(body=envelope()))
    assert run(["sql", "SELECT 1"]) == 0
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines() if "─" not in line] == [
        ["flag", "total"],
        ["A", "37734107.00"],
        ["NULL", "1.50"],
    ]
    assert "2 rows · 58.4 MB processed · billed USD 0.000265 · sail 0.7.2 · 0.04 s" in err


def test_statement_is_followed_to_its_end(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(STATEMENTS, Reply(status=202, body=envelope("queued"), headers={"ETag": '"1"'}))
    service.on(ONE, Reply(body=envelope("running")), Reply(body=envelope()))
    assert run(["sql", "SELECT 1"]) == 0
    assert [asked.method for asked in service.asked] == ["POST", "GET", "GET"]
    assert service.asked[1].headers["If-None-Match"] == '"1"'
    assert "running" not in capsys.readouterr().err, "no progress without a terminal"


def test_options_become_fields_of_the_request(service: FakeService) -> None:
    service.on(STATEMENTS, Reply(body=envelope()))
    words = ["sql", "SELECT :n", "--database", "tpch", "--queue", "q", "--engine", "spark"]
    words += ["--param", "n:int=3", "--max-cost", "0.05", "--max-bytes", "10GB", "--timeout", "5m"]
    assert run([*words, "--max-rows", "7", "--label", "team=a"]) == 0
    body = service.asked[0].body
    assert body == {
        "sql": "SELECT :n",
        "wait": "0s",
        "database": "tpch",
        "queue": "q",
        "engine": "spark",
        "parameters": {"n": 3},
        "max_cost": "0.05",
        "max_bytes": 10_000_000_000,
        "timeout": "5m",
        "result": {"max_rows": 7},
        "labels": {"team": "a"},
    }


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(body=envelope("failed", error={"code": "division_by_zero", "message": "no"})), 1),
        (Reply(body=envelope("cancelled", error={"code": "statement_timeout"})), 4),
        (Reply(status=422, body={"code": "cost_cap_exceeded", "detail": "too dear"}), 3),
        (Reply(status=403, body={"code": "forbidden", "detail": "not you"}), 3),
        (Reply(status=401, body={"code": "token_invalid", "detail": "who"}), 3),
        (Reply(status=400, body={"code": "sql_syntax", "detail": "what"}), 1),
        (Reply(status=500, body=b"<html>"), 1),
    ],
)
def test_each_end_has_its_exit_code(service: FakeService, reply: Reply, code: int) -> None:
    service.on(STATEMENTS, reply)
    assert run(["sql", "SELECT 1"]) == code


@pytest.mark.parametrize(
    "words",
    [
        ["sql"],
        ["sql", "SELECT 1", "-f", "x.sql"],
        ["sql", "-f", "/does/not/exist.sql"],
        ["sql", "SELECT 1", "--max-bytes", "many"],
        ["sql", "SELECT 1", "--timeout", "soon"],
        ["sql", "SELECT 1", "--max-cost", "-1"],
        ["sql", "SELECT 1", "--param", "novalue"],
        ["sql", "SELECT 1", "--param", "n:int=three"],
        ["sql", "SELECT 1", "--estimate", "--explain"],
        ["sql", "SELECT 1", "-o", "rows.xlsx"],
        ["sql", "SELECT 1; SELECT 2", "-o", "rows.csv"],
        ["sql", "SELECT 1", "--output", "excel"],
        ["queue", "update", "q"],
        ["budget", "set", "much"],
        ["job", "list", "--since", "yesterday"],
        ["statement", "list", "--until", "noon"],
        ["usage", "--from", "monday"],
        ["pipeline", "backfill", "p", "--from", "yesterday", "--to", "2026-01-01"],
        ["pipeline", "run", "p", "--max-cost", "much"],
        ["pipeline", "run", "p", "--timeout", "2 hours"],
        ["frobnicate"],
    ],
)
def test_bad_usage_sends_nothing(service: FakeService, words: list[str]) -> None:
    assert run(words) == 2
    assert service.asked == []


def test_a_file_that_cannot_be_written_is_told_by_its_name(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on("GET /api/v1/tasks/tsk_1/output", Reply(body={}))
    assert run(["task", "output", "tsk_1", "-o", str(tmp_path / "none" / "x")]) == 2
    assert f"there is no folder {tmp_path / 'none'}" in capsys.readouterr().err
    assert told(OSError(errno.ENOSPC, "No space left on device", "/x/rows.csv")) == 1
    assert capsys.readouterr().err == "error: /x/rows.csv: No space left on device\n"


def test_silence_of_the_service_says_how_to_start_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DLI_HOME", str(tmp_path))
    monkeypatch.setenv("DLI_CONFIG", str(tmp_path / "none.toml"))
    assert run(["--url", "http://127.0.0.1:9", "status"]) == 1
    assert "dli up" in capsys.readouterr().err


def test_sql_error_shows_a_caret_and_the_hint(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"code": "column_not_found", "detail": "no column l_flg", "hint": "l_flag?"}
    service.on(STATEMENTS, Reply(status=400, body=problem | {"line": 2, "column": 8}))
    assert run(["sql", "SELECT 1,\n       l_flg FROM t"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: no column l_flg [column_not_found]"
    assert lines[1].index("l_flg") == lines[2].index("^")
    assert lines[3] == "  hint: l_flag?"


def test_script_stops_at_its_first_error_and_places_it(
    service: FakeService, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "script.sql"
    script.write_text("SELECT 1;\nSELECT 2; SELECT oops;\nSELECT 3;")
    problem = {"code": "column_not_found", "detail": "no", "line": 1, "column": 8}
    service.on(
        STATEMENTS, Reply(body=envelope()), Reply(body=envelope()), Reply(status=400, body=problem)
    )
    assert run(["sql", "-f", str(script)]) == 1
    assert [asked.body["sql"] for asked in service.asked] == ["SELECT 1", "SELECT 2", "SELECT oops"]
    lines = capsys.readouterr().err.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("   2 |"))
    assert lines[place].index("oops") == lines[place + 1].index("^")


def test_text_comes_from_standard_input(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service.on(STATEMENTS, Reply(body=envelope()))
    (tmp_path / "in").write_text("SELECT 5")
    with (tmp_path / "in").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert run(["sql", "-"]) == 0
    assert service.asked[0].body["sql"] == "SELECT 5"


def test_file_appears_whole(service: FakeService, tmp_path: Path) -> None:
    service.on(STATEMENTS, Reply(body=envelope()))
    service.on(f"{ONE}/result", Reply(body=b"flag,total\n"))
    assert run(["sql", "SELECT 1", "-o", str(tmp_path / "rows.csv")]) == 0
    assert (tmp_path / "rows.csv").read_bytes() == b"flag,total\n"
    assert service.asked[-1].headers["Accept"] == "text/csv"


def test_failed_download_leaves_the_old_file(service: FakeService, tmp_path: Path) -> None:
    service.on(STATEMENTS, Reply(body=envelope()))
    service.on(f"{ONE}/result", Reply(status=410, body={"code": "result_expired"}))
    (tmp_path / "rows.csv").write_text("old")
    assert run(["sql", "SELECT 1", "-o", str(tmp_path / "rows.csv")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert (tmp_path / "rows.csv").read_text() == "old"


def test_estimate_shows_price_bytes_and_files(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(STATEMENTS, Reply(body=envelope("estimated")))
    assert run(["sql", "--estimate", "SELECT 1"]) == 0
    out = capsys.readouterr().out
    assert service.asked[0].body["mode"] == "estimate"
    for fact in ("USD 0.000265", "58,412,345 bytes, exact", "1 to 4, likely 4", "1 of 3"):
        assert fact in out


def test_token_is_sent_and_never_printed(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on("GET /readyz", Reply(body={"status": "ready"}))
    assert run(["status"]) == 0
    assert service.asked[0].headers["Authorization"] == "Bearer dli_secret"
    assert "dli_secret" not in "".join(capsys.readouterr())


def test_shared_options_may_stand_anywhere() -> None:
    words = ["sql", "--url", "http://x", "SELECT 1", "--token=t", "--", "--project"]
    assert shared_first(words) == ["--url", "http://x", "--token=t", "sql", "SELECT 1", "--",
                                   "--project"]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["queue", "list"], "queue"),
        (["-q", "sql", "queue"], "sql"),
        (["--project", "queue", "--url=token", "job"], "job"),
        (["--project"], None),
        (["--help"], None),
        (["-q", "-h", "sql"], None),
        (["--help", "queue"], None),
        (["queue", "--help"], "queue"),
        ([], None),
    ],
)
def test_command_is_the_first_word_that_no_shared_option_takes(
    words: list[str], name: str | None
) -> None:
    assert command_in(words) == name


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for noun in COMMANDS:
        assert run([noun, "--help"]) == 0
        assert f"dli {noun}" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_names_the_command(
    service: FakeService, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    assert run(["completion", shell]) == 0
    assert "_DLI_COMPLETE" in capsys.readouterr().out


CLUSTER = {
    "name": "eu", "answers": False, "drained": True, "drained_at": "2026-11-29T10:00:00.000Z",
    "drained_by": "ann", "capacity": {"cores": 8.0, "memory_bytes": 2**34},
    "used": {"cores": 0.5, "memory_bytes": 2**30}, "runs": 2, "engines": 1,
}  # fmt: skip


def test_clusters_are_told_as_people_read_them(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on("GET /api/v1/clusters", Reply(body={"items": [CLUSTER], "next_cursor": None}))
    assert run(["cluster", "list"]) == 0
    told = capsys.readouterr().out
    for words in ("eu", "no", "8 cores, 17.2 GB", "0.5 cores, 1.1 GB", "by ann"):
        assert words in told


def test_cluster_is_drained_by_its_name(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on("PATCH /api/v1/clusters/eu", Reply(body=CLUSTER))
    assert run(["cluster", "drain", "eu"]) == 0
    assert "2 runs and 1 engines are left" in capsys.readouterr().err
    assert run(["cluster", "undrain", "eu"]) == 0
    assert [asked.body for asked in service.asked] == [{"drained": True}, {"drained": False}]


def test_weights_of_clusters_leave_what_else_is_said_of_pods(service: FakeService) -> None:
    service.on("GET /api/v1/queues/q", Reply(body={"pods": {"max_executors": 3, "clusters": {}}}))
    service.on("PATCH /api/v1/queues/q", Reply(body={}))
    assert run(["queue", "update", "q", "--cluster", "eu=3", "--cluster", "us=1"]) == 0
    assert run(["queue", "update", "q", "--cluster", "all"]) == 0
    sent = [asked.body["pods"] for asked in service.asked if asked.method == "PATCH"]
    assert sent == [
        {"max_executors": 3, "clusters": {"eu": 3, "us": 1}},
        {"max_executors": 3, "clusters": {}},
    ]
    assert run(["queue", "update", "q", "--cluster", "eu"]) == 2
