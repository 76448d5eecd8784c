"""A stranger's first hour by the command line alone."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.service import DLI, Service
from tests.e2e.processes import await_that

pytestmark = pytest.mark.xdist_group("e2e")


def dli(service: Service, *words: str, **how: str) -> subprocess.CompletedProcess[str]:
    """Run one command as a person would, with the service's own environment."""
    return subprocess.run(
        [DLI, *words],
        env=service.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        input=how.get("stdin"),
    )


def good(service: Service, *words: str, **how: str) -> str:
    done = dli(service, *words, **how)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_token_file_is_private(service: Service) -> None:
    assert stat.S_IMODE((service.home / "token").stat().st_mode) == 0o600


def test_status_needs_no_token(service: Service) -> None:
    environment = {**service.environment(), "DLI_TOKEN": "", "DLI_HOME": "/nonexistent"}
    done = subprocess.run(
        [DLI, "status"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "yes" in done.stdout


def test_home_is_enough_to_find_service_and_token(service: Service) -> None:
    environment = {
        name: value
        for name, value in service.environment().items()
        if name not in {"DLI_URL", "DLI_TOKEN"}
    }
    done = subprocess.run(
        [DLI, "sql", "SELECT 1 AS one"], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_tour(service: Service, tmp_path: Path) -> None:
    folder = service.home / "data" / "tour"
    folder.mkdir(parents=True)
    pq.write_table(
        pa.table({"id": [1, 2, 3], "status": ["new", "new", "paid"]}), folder / "a.parquet"
    )
    good(service, "database", "create", "sales")
    good(service, "table", "register", "sales.orders", str(folder))
    assert "orders" in good(service, "table", "list", "sales")
    assert "status" in good(service, "table", "show", "sales.orders")
    text = "SELECT status, count(*) AS n FROM sales.orders GROUP BY status ORDER BY status"
    assert "USD" in good(service, "sql", "--estimate", text)
    rows = list(csv.reader(good(service, "sql", text, "--output", "csv").splitlines()))
    assert rows == [["status", "n"], ["new", "2"], ["paid", "1"]]
    good(
        service, "sql", "CREATE TABLE sales.paid AS SELECT * FROM sales.orders WHERE status='paid'"
    )
    assert json.loads(good(service, "sql", "SELECT id FROM sales.paid", "--output", "json"))
    out = tmp_path / "rows.parquet"
    good(service, "sql", "SELECT * FROM sales.orders ORDER BY id", "-o", str(out))
    assert pq.read_table(out)["id"].to_pylist() == [1, 2, 3]
    listed = json.loads(good(service, "statement", "list", "--json", "--limit", "3"))
    assert len(listed) == 3
    for command in ("show", "bill", "result"):
        good(service, "statement", command, listed[0]["id"])
    assert "default" in good(service, "usage", "--by", "queue")
    good(service, "database", "drop", "sales", "--cascade")
    assert next(folder.iterdir()).exists(), "files of an external table stay"


def test_administration(service: Service) -> None:
    good(service, "queue", "create", "night", "--engine", "spark", "--max-running", "1")
    good(service, "queue", "update", "night", "--max-running", "2")
    assert "night" in good(service, "queue", "list")
    good(service, "queue", "delete", "night")
    token = good(service, "token", "create", "reader of the tour", "--role", "reader").strip()
    assert re.fullmatch(r"dli_[\w-]{40}", token)
    done = dli(service, "--token", token, "sql", "CREATE DATABASE nope")
    assert done.returncode == 3, done.stderr
    found = json.loads(good(service, "token", "list", "--json"))
    token_id = next(item["id"] for item in found if item["name"] == "reader of the tour")
    good(service, "token", "revoke", token_id)
    assert dli(service, "--token", token, "sql", "SELECT 1").returncode == 3
    good(service, "project", "create", "tour")
    assert "tour" in good(service, "project", "list")
    good(service, "price")
    good(service, "--project", "tour", "budget", "set", "1.50")
    assert "1.50" in good(service, "--project", "tour", "budget", "show")
    good(service, "--project", "tour", "budget", "set", "none")
    good(service, "doctor")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["sql", "SELEC 1"], 1, "SELEC"),
        (["sql", "SELECT l_shipdat FROM tpch.lineitem"], 1, "l_shipdate"),
        (["sql", "SELECT * FROM tpch.linitem"], 1, "lineitem"),
        (["sql", "SELECT 1", "--queue", "defualt"], 1, "default"),
        (["sql", "SELECT 1", "--engine", "spork"], 1, "spark"),
        (["sql", "SELECT sum(l_tax) FROM tpch.lineitem", "--max-cost", "0.0000001"], 3, "cap"),
        (["sql", "SELECT sum(l_tax) FROM tpch.lineitem", "--max-bytes", "1kB"], 3, "bytes"),
        (["sql", "SELECT * FROM parquet.`/etc`"], 3, "parquet"),
        (["sql", "SELECT 1/0"], 1, "zero"),
        (["--token", "dli_wrong", "sql", "SELECT 1"], 3, "token"),
        (["statement", "show", "stm_none"], 1, "stm_none"),
        (["table", "register", "default.x", "/etc"], 3, "/etc"),
        (["table", "register", "default.x", "s3://nowhere/x"], 3, "nowhere"),
    ],
)
def test_mistake_is_told_with_what_to_do(
    service: Service, words: list[str], code: int, told: str
) -> None:
    done = dli(service, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert told in done.stderr


def test_sql_error_has_a_caret_below_its_place(service: Service) -> None:
    done = dli(service, "sql", "SELECT 1,\n  l_shipdat\nFROM tpch.lineitem")
    lines = done.stderr.splitlines()
    place = next(n for n, line in enumerate(lines) if "l_shipdat" in line and "|" in line)
    assert lines[place].index("l_shipdat") == lines[place + 1].index("^")


def test_timeout_is_exit_code_four(service: Service) -> None:
    done = dli(service, "sql", SLOW, "--timeout", "1s")
    assert done.returncode == 4, done.stderr


SLOW = "SELECT count(*) FROM tpch.lineitem a, tpch.lineitem b WHERE a.l_comment < b.l_comment"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_cancels_the_statement(service: Service, number: int) -> None:
    with (
        subprocess.Popen(
            [DLI, "sql", SLOW, "--label", f"interrupted={number}"],
            env={**service.environment(), "PYTHONUNBUFFERED": "1"},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process,
        service.client() as client,
    ):

        def runs() -> bool:
            found = client.statements(label=f"interrupted={number}")
            return any(item["state"] == "running" for item in found)

        assert await_that(runs, seconds=30)
        os.kill(process.pid, number)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 4, told
        assert "cancelled; nothing is billed" in told
        (item,) = client.statements(label=f"interrupted={number}")
        assert item["state"] == "cancelled"


def test_rows_go_through_a_pipe(service: Service) -> None:
    """`dli sql … | head` ends quietly when the reader has seen enough."""
    command = f"{DLI} sql 'SELECT * FROM tpch.lineitem' --output csv | head -n 2"
    began = time.monotonic()
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=service.environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout.startswith("l_orderkey,")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 120
