"""What lies beside the programs of batches, run by real Spark: views of tables, and SQL scripts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.batches.command import PROGRAMS, SQL_PROGRAM
from jobs.batches.exits import last_error
from jobs.batches.tables import described
from jobs.batches.telling import TOLD, read_told
from jobs.batches.work import split_program
from sql.statement import Binding
from tests.support.engines import RunningEngine, binding

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]

COLUMNS = [("id", "bigint"), ("name", "string"), ("day", "date")]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(shared_engines: dict[str, RunningEngine], tmp_path: Path) -> Run:
    """Runs a program as a client of the shared Spark: the same calls as in a driver of its own."""

    programs, spark = tmp_path / "lib", shared_engines["spark"]
    shutil.copytree(PROGRAMS, programs)

    def program(script: Path, *arguments: str, tables: tuple[Binding, ...] = ()) -> object:
        described_tables = tmp_path / "tables.json"
        described_tables.write_text(json.dumps([described(each) for each in tables]))
        beside = programs / script.name
        return subprocess.run(
            [sys.executable, str(beside if beside.exists() else script), *arguments],
            env={
                **os.environ,
                "SPARK_REMOTE": f"sc://{spark.address}/;authorization=Bearer%20{spark.token}",
                "PYTHONPATH": str(programs),
                "DLI_TABLES": str(described_tables),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return program  # type: ignore[return-value]


def file(folder: Path, name: str, *ids: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": ids, "name": [f"n{each}" for each in ids]}), path)
    return path


def rows(run: Run, tmp_path: Path, table: Binding) -> list[str]:
    script = tmp_path / "show.py"
    script.write_text(
        "from dli_batch import session\n"
        "spark = session()\n"
        "for row in spark.table('orders').orderBy('id').collect():\n"
        "    print(*row)\n"
    )
    done = run(script, tables=(table,))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_table_is_a_view_of_exactly_its_files(run: Run, tmp_path: Path) -> None:
    kept, _ = file(tmp_path, "a b[1].parquet", 1, 2), file(tmp_path, "other.parquet", 3)
    assert rows(run, tmp_path, binding("orders", COLUMNS[:2], [kept])) == ["1 n1", "2 n2"]


def test_partition_values_come_from_the_list(run: Run, tmp_path: Path) -> None:
    first, second = file(tmp_path, "x/1.parquet", 1), file(tmp_path, "x/2.parquet", 2)
    files = [(first, ("2026-01-01",)), (second, (None,))]
    table = binding("orders", COLUMNS, files, partitioned_by=("day",))
    assert described(table)["base"] is None
    assert rows(run, tmp_path, table) == ["1 n1 2026-01-01", "2 n2 None"]


def test_partition_folders_that_say_the_same_are_read_at_once(run: Run, tmp_path: Path) -> None:
    first = file(tmp_path, "t/day=2026-01-01/1.parquet", 1)
    second = file(tmp_path, "t/day=2026-01-02/1.parquet", 2)
    files = [(first, ("2026-01-01",)), (second, ("2026-01-02",))]
    table = binding("orders", COLUMNS, files, partitioned_by=("day",))
    assert described(table)["base"] == f"file://{tmp_path}/t/"
    assert rows(run, tmp_path, table) == ["1 n1 2026-01-01", "2 n2 2026-01-02"]


def test_a_table_without_files_has_its_columns(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "columns.py"
    script.write_text("from dli_batch import session\nprint(session().table('orders').columns)\n")
    done = run(script, tables=(binding("orders", COLUMNS, []),))
    assert done.stdout == "['id', 'name', 'day']\n", done.stderr


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "statements.json"
    path.write_text(json.dumps(split_program(text.encode())))
    return str(path)


def test_a_script_runs_its_statements_in_one_session(run: Run, tmp_path: Path) -> None:
    text = "CREATE TEMP VIEW v AS SELECT :name AS who, NULL AS nothing;\nSELECT * FROM v"
    done = run(PROGRAMS / SQL_PROGRAM, script(tmp_path, text), "name=O'Hara; DROP")
    assert done.returncode == 0, done.stderr
    assert "who\tnothing\nO'Hara; DROP\tNULL\n" in done.stdout


def test_a_script_ends_at_its_first_mistake(run: Run, tmp_path: Path) -> None:
    done = run(PROGRAMS / SQL_PROGRAM, script(tmp_path, "SELECT 1;\n\nSELECT absent;\nSELECT 2"))
    assert done.returncode == 1
    assert "SELECT 2" not in done.stdout
    told = last_error(done.stdout)
    assert told is not None
    assert told.startswith("statement 2 at line 3: [UNRESOLVED_COLUMN")


def test_a_script_shows_so_many_rows(run: Run, tmp_path: Path) -> None:
    done = run(PROGRAMS / SQL_PROGRAM, script(tmp_path, "SELECT id FROM range(2000)"))
    assert "-- only the first 1000 rows are shown" in done.stdout
    assert len(done.stdout.splitlines()) == 1 + 1 + 1000 + 1 + 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2**40", {"type": "bigint", "value": 2**40}),
        ("True", {"type": "boolean", "value": True}),
        ("0.5", {"type": "double", "value": 0.5}),
        ("date(2026, 1, 31)", {"type": "date", "value": "2026-01-31"}),
        ("datetime(2026, 1, 31)", {"type": "timestamp", "value": "2026-01-31T00:00:00+00:00"}),
    ],
)
def test_a_program_tells_what_the_service_takes(
    run: Run, tmp_path: Path, value: str, told: dict[str, object]
) -> None:
    program = tmp_path / "tells.py"
    program.write_text(
        "from datetime import date, datetime\n"
        "from dli_batch import tell\n"
        f"tell(value={value}, rows=3, uris={{'report': 's3://lake/report'}})\n"
    )
    done = run(program)
    assert done.returncode == 0, done.stderr
    found = read_told(tmp_path / "lib" / TOLD)
    assert found == {"value": told, "rows": 3, "uris": {"report": "s3://lake/report"}}


def test_a_script_tells_its_last_rows(run: Run, tmp_path: Path) -> None:
    text = "SELECT 1; SELECT date'2026-01-31' AS day, 2; CREATE TEMP VIEW v AS SELECT 3 AS three"
    done = run(PROGRAMS / SQL_PROGRAM, script(tmp_path, text))
    assert done.returncode == 0, done.stderr
    value = {"type": "date", "value": "2026-01-31"}
    assert read_told(tmp_path / "lib" / TOLD) == {"rows": 1, "value": value}
