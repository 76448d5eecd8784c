"""Promises that every engine keeps, over real servers. A new engine is one more row in ENGINES."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from jobs.engines import errors
from jobs.engines.connect.client import ConnectClient
from storage.base.errors import ServiceError
from storage.catalog.definitions import TableFormat
from tests.support.connect import PLAIN
from tests.support.engines import BOTH, RunningEngine, binding, run, start_engine

TYPES = [
    ("b", "boolean", "true", True),
    ("i8", "tinyint", "CAST(-128 AS tinyint)", -128),
    ("i64", "bigint", "9223372036854775807", 9223372036854775807),
    ("f", "float", "CAST(1.5 AS float)", 1.5),
    ("dec", "decimal(20,3)", "CAST('12345678901234567.891' AS decimal(20,3))", None),
    ("s", "string", "'it\\'s \\u00fc'", "it's ü"),
    ("bin", "binary", "X'00FF'", b"\x00\xff"),
    ("d", "date", "DATE'0001-01-01'", None),
    ("arr", "array<int>", "array(1, NULL)", [1, None]),
    ("st", "struct<a:int,b:string>", "named_struct('a', 1, 'b', 'x')", {"a": 1, "b": "x"}),
    ("n", "int", "CAST(NULL AS int)", None),
]


def test_values_of_all_types_come_back(engine: RunningEngine) -> None:
    items = ", ".join(f"{text} AS {name}" for name, _, text, _ in TYPES)
    [row] = engine.rows(f"SELECT {items}")
    assert list(row) == [name for name, *_ in TYPES]
    for name, _, _, value in TYPES:
        if value is not None:
            assert row[name] == value, name
    assert str(row["dec"]) == "12345678901234567.891"
    assert str(row["d"]) == "0001-01-01"


def test_timestamps_are_moments_in_utc(engine: RunningEngine) -> None:
    [row] = engine.rows(
        "SELECT TIMESTAMP'2026-01-02 03:04:05.678901' AS t, hour(current_timestamp()) h"
    )
    assert str(row["t"]) == "2026-01-02 03:04:05.678901+00:00"


def test_no_document_makes_an_engine_fetch_another(engine: RunningEngine) -> None:
    asked: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        document = f'<!DOCTYPE a SYSTEM "http://127.0.0.1:{server.server_port}/x"><a>1</a>'
        with suppress(errors.EngineStatementError):
            engine.rows(f"SELECT xpath_string('{document}', 'a') AS x")
        server.shutdown()
    assert not asked


def test_empty_result_has_its_columns(engine: RunningEngine) -> None:
    with engine.session() as session:
        table = run(session, "SELECT 1 AS a, 'x' AS b WHERE 1 = 0")
    assert table.num_rows == 0
    assert table.schema.names == ["a", "b"]


def test_sessions_do_not_see_each_others_tables(engine: RunningEngine, tmp_path: Path) -> None:
    table = binding("t", [("a", "bigint")], [parquet(tmp_path / "t.parquet", {"a": [1]})])
    with engine.session(table) as first, engine.session() as second:
        assert run(first, "SELECT a FROM t").num_rows == 1
        with pytest.raises(errors.EngineNameError):
            run(second, "SELECT a FROM t")


def test_a_session_serves_the_next_statement(engine: RunningEngine, tmp_path: Path) -> None:
    """The table of the one before is replaced, whatever else is left of it."""
    for value in (1, 2):
        rows = parquet(tmp_path / f"t{value}.parquet", {"a": [value]})
        with engine.session(binding("t", [("a", "bigint")], [rows])) as session:
            assert run(session, "SELECT a FROM t").column("a").to_pylist() == [value]


def test_a_session_that_knows_the_table_sees_what_became_of_its_files(
    engine: RunningEngine, tmp_path: Path
) -> None:
    """It is bound once; a table that changed is another binding, a file that went is missed."""
    path = tmp_path / "t.parquet"
    for rows in ([1], [1], [1, 2], [1, 2]):
        table = binding("t", [("a", "bigint")], [parquet(path, {"a": rows})])
        with engine.session(table) as session:
            assert run(session, "SELECT a FROM t ORDER BY a").column("a").to_pylist() == rows
    path.unlink()

    def bound_and_run() -> None:
        with engine.session(table) as session:
            run(session, "SELECT a FROM t")

    with pytest.raises(errors.InputFileMissingError):
        bound_and_run()


def test_a_text_cannot_show_our_environment(engine: RunningEngine) -> None:
    with engine.session() as session:
        text = run(session, "SELECT 'a${env:HOME}b' AS x").column("x").to_pylist()
    assert text == ["a${env:HOME}b"]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1 / id FROM range(0, 3)", errors.DivisionByZeroError),
        ("SELECT CAST(concat('x', id) AS int) FROM range(3)", errors.CastInvalidError),
        ("SELECT no_such_column FROM range(3)", errors.EngineNameError),
        ("SELECT * FROM no_such_table", errors.EngineNameError),
        ("SELECT no_such_function(1)", errors.EngineUnsupportedError),
        ("SELEC 1", errors.EngineSyntaxError),
        ("SELECT assert_true(id < 2) FROM range(3)", errors.RaisedError),
    ],
)
def test_mistakes_have_a_code_and_a_clean_message(
    engine: RunningEngine, sql: str, kind: type[ServiceError]
) -> None:
    with pytest.raises(kind) as caught, engine.session() as session:
        run(session, sql)
    message = caught.value.message
    assert caught.value.code == kind.code
    assert 0 < len(message) < 500
    for inside in ("\tat ", "java.", "org.apache", "SQLSTATE", "spark.sql", "== SQL", "Exception"):
        assert inside not in message


def parquet(path: Path, columns: dict[str, list[object]] | pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path)
    return path


def test_only_the_bound_files_are_read(engine: RunningEngine, tmp_path: Path) -> None:
    first = parquet(tmp_path / "1.parquet", {"a": [1]})
    parquet(tmp_path / "2.parquet", {"a": [2]})
    third = parquet(tmp_path / "3.parquet", {"a": [3]})
    rows = engine.rows(
        "SELECT a FROM t ORDER BY a", binding("t", [("a", "bigint")], [first, third])
    )
    assert rows == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize(
    "name", ["a b", "ü", "50%", "p%20q", "[1]", "{x}", "h#x", "q?x", "st*r", "a+b", "a&b=c", "it's"]
)
def test_names_of_files_are_taken_literally(
    engine: RunningEngine, tmp_path: Path, name: str
) -> None:
    path = parquet(tmp_path / name / f"{name}.parquet", {"a": [7]})
    parquet(tmp_path / name / "other.parquet", {"a": [8]})
    assert engine.rows("SELECT a FROM t", binding("t", [("a", "bigint")], [path])) == [{"a": 7}]


def test_no_files_are_an_empty_table_of_its_columns(engine: RunningEngine) -> None:
    columns = [("a", "bigint"), ("d", "decimal(10,2)"), ("s", "array<string>"), ("p", "date")]
    empty = binding("t", columns, [], partitioned_by=("p",))
    with engine.session(empty) as session:
        table = run(session, "SELECT * FROM t")
        assert table.schema.names == ["a", "d", "s", "p"]
        assert run(session, "SELECT count(*) AS n FROM t").to_pylist() == [{"n": 0}]


def test_missing_column_is_null_and_order_is_ours(engine: RunningEngine, tmp_path: Path) -> None:
    old = parquet(tmp_path / "old.parquet", {"B": ["x"], "a": [1]})
    new = parquet(tmp_path / "new.parquet", {"a": [2], "B": ["y"], "c": [2.5], "d": [0]})
    table = binding("t", [("c", "double"), ("a", "bigint"), ("b", "string")], [old, new])
    assert engine.rows("SELECT * FROM t ORDER BY A", table) == [
        {"c": None, "a": 1, "b": "x"},
        {"c": 2.5, "a": 2, "b": "y"},
    ]


def test_view_with_a_dotted_name_and_odd_columns(engine: RunningEngine, tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", {"a b": [1], "select": [2], "x.y": [3]})
    columns = [("a b", "bigint"), ("select", "bigint"), ("x.y", "bigint")]
    table = binding("sales.orders", columns, [path])
    [row] = engine.rows("SELECT `a b`, `select`, `x.y` FROM `sales.orders`", table)
    assert list(row.values()) == [1, 2, 3]


PARTITIONS: list[tuple[str | None, str]] = [
    ("plain", "p=plain"),
    ("a b/c", f"p={quote('a b/c', safe='')}"),
    ("50%", f"p={quote('50%', safe='')}"),
    ("ü", "p=ü"),
    (None, "p=__HIVE_DEFAULT_PARTITION__"),
    ("01", "p=01"),
]


def partitioned(tmp_path: Path, *, hive: bool) -> list[tuple[Path, tuple[str | None, ...]]]:
    return [
        (
            parquet(tmp_path / (folder if hive else str(index)) / "f.parquet", {"a": [index]}),
            (value,),
        )
        for index, (value, folder) in enumerate(PARTITIONS)
    ]


@pytest.mark.parametrize("hive", [True, False], ids=["folders", "list"])
def test_partition_values_are_those_of_the_list(
    engine: RunningEngine, tmp_path: Path, hive: bool
) -> None:
    files = partitioned(tmp_path, hive=hive)
    table = binding("t", [("a", "bigint"), ("p", "string")], files, partitioned_by=("p",))
    with engine.session(table) as session:
        rows = run(session, "SELECT * FROM t ORDER BY a").to_pylist()
        assert rows == [{"a": i, "p": value} for i, (value, _) in enumerate(PARTITIONS)]
        for index, (value, _) in enumerate(PARTITIONS):
            is_it = "IS NULL" if value is None else f"= '{value}'"
            found = run(session, f"SELECT a FROM t WHERE p {is_it}").to_pylist()
            assert found == [{"a": index}]
        assert run(session, "SELECT a FROM t WHERE p = 'nobody'").num_rows == 0
        assert run(session, "SELECT a FROM t WHERE p = 'ü' AND a = 99").num_rows == 0
        [row] = run(session, "SELECT count(*) n, count(p) m FROM t").to_pylist()
        assert (row["n"], row["m"]) == (6, 5)


def test_partition_values_have_their_types(engine: RunningEngine, tmp_path: Path) -> None:
    values = [("2026-01-01", "1", "1.50"), ("2026-01-02", None, "0.25")]
    null = "__HIVE_DEFAULT_PARTITION__"
    files = [
        (parquet(tmp_path / f"d={d}" / f"n={n or null}" / f"m={m}" / "f.parquet", {"a": [1]}), each)
        for each in values
        for d, n, m in [each]
    ]
    columns = [("a", "bigint"), ("d", "date"), ("n", "int"), ("m", "decimal(4,2)")]
    table = binding("t", columns, files, partitioned_by=("d", "n", "m"))
    rows = engine.rows(
        "SELECT d + INTERVAL 1 DAY AS e, n + 1 AS n, m * 2 AS m FROM t ORDER BY d", table
    )
    assert [str(row["e"])[:10] for row in rows] == ["2026-01-02", "2026-01-03"]
    assert [row["n"] for row in rows] == [2, None]
    assert [float(str(row["m"])) for row in rows] == [3.0, 0.5]


def test_partition_may_lie_in_a_list_against_its_folder(
    engine: RunningEngine, tmp_path: Path
) -> None:
    path = parquet(tmp_path / "p=1" / "f.parquet", {"a": [1]})
    table = binding("t", [("a", "bigint"), ("p", "int")], [(path, ("2",))], partitioned_by=("p",))
    assert engine.rows("SELECT p FROM t", table) == [{"p": 2}]


def test_hundreds_of_partitions_bind_and_answer(engine: RunningEngine, tmp_path: Path) -> None:
    files = [
        (parquet(tmp_path / f"p={number}" / "f.parquet", {"a": [number]}), (str(number),))
        for number in range(200)
    ]
    table = binding("t", [("a", "bigint"), ("p", "int")], files, partitioned_by=("p",))
    assert engine.rows("SELECT sum(a) s, sum(p) t FROM t", table) == [{"s": 19900, "t": 19900}]


def test_csv_is_read_by_its_options(engine: RunningEngine, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1;x\n;'y;''z'''\n")
    options = [("header", "true"), ("quote", "'"), ("sep", ";")]
    columns = [("a", "bigint"), ("b", "string")]
    table = binding("t", columns, [path], format=TableFormat.CSV, options=options)
    rows = engine.rows("SELECT a, b FROM t", table)
    assert rows == [{"a": 1, "b": "x"}, {"a": None, "b": "y;'z'"}]


def test_csv_without_header_and_with_partitions(engine: RunningEngine, tmp_path: Path) -> None:
    files = []
    for part in ("x", "y"):
        path = tmp_path / f"p={part}" / "f.csv"
        path.parent.mkdir()
        pc.write_csv(pa.table({"a": [1, 2]}), path, pc.WriteOptions(include_header=False))
        files.append((path, (part,)))
    columns = [("a", "int"), ("p", "string")]
    table = binding("t", columns, files, format=TableFormat.CSV, partitioned_by=("p",))
    rows = engine.rows("SELECT p, sum(a) AS s FROM t GROUP BY p ORDER BY p", table)
    assert rows == [{"p": "x", "s": 3}, {"p": "y", "s": 3}]


def test_json_lines_are_read_by_name(engine: RunningEngine, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    lines = [{"b": "x", "a": 1, "st": {"k": [1, 2]}}, {"a": None}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    columns = [("a", "bigint"), ("b", "string"), ("st", "struct<k:array<int>>")]
    table = binding("t", columns, [path], format=TableFormat.JSON)
    assert engine.rows("SELECT a, b, st.k AS k FROM t ORDER BY a DESC NULLS LAST", table) == [
        {"a": 1, "b": "x", "k": [1, 2]},
        {"a": None, "b": None, "k": None},
    ]


def test_file_that_is_gone_is_told_by_name(engine: RunningEngine, tmp_path: Path) -> None:
    here = parquet(tmp_path / "here.parquet", {"a": [1]})
    table = binding("t", [("a", "bigint")], [here, tmp_path / "gone.parquet"])
    with pytest.raises(errors.InputFileMissingError, match=r"gone\.parquet"):
        engine.rows("SELECT a FROM t", table)


def test_file_that_goes_after_the_bind_is_noticed(engine: RunningEngine, tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", {"a": [1]})
    with engine.session(binding("t", [("a", "bigint")], [path])) as session:
        path.unlink()
        with pytest.raises((errors.InputFileMissingError, errors.InputFileBrokenError)):
            run(session, "SELECT a FROM t")


def test_file_that_is_broken_is_told(engine: RunningEngine, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 this is not Parquet at all PAR1")
    with pytest.raises(errors.InputFileBrokenError):
        engine.rows("SELECT a FROM t", binding("t", [("a", "bigint")], [path]))


def test_write_makes_files_of_a_new_folder(engine: RunningEngine, tmp_path: Path) -> None:
    folder = tmp_path / "out 1" / "stage"
    with engine.session() as session:
        sql = "SELECT id, TIMESTAMP'2026-01-01 00:00:00' AS t FROM range(1000)"
        session.write(sql, operation_id=str(uuid.uuid4()), uri=f"file://{folder}")
    files = sorted(folder.iterdir())
    assert all(file.suffix == ".parquet" for file in files)
    table = pa.concat_tables([pq.read_table(file) for file in files])
    assert sorted(table["id"].to_pylist()) == list(range(1000))
    assert pa.types.is_timestamp(pq.read_schema(files[0]).field("t").type)
    codec = pq.ParquetFile(files[0]).metadata.row_group(0).column(0).compression
    assert codec == "ZSTD"


def test_write_into_a_folder_that_is_there_is_refused(
    engine: RunningEngine, tmp_path: Path
) -> None:
    parquet(tmp_path / "out" / "kept.parquet", {"a": [1]})
    with pytest.raises(errors.EngineStatementError), engine.session() as session:
        session.write("SELECT 2 AS a", operation_id=str(uuid.uuid4()), uri=f"file://{tmp_path}/out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept.parquet"]


def test_failed_write_is_told(engine: RunningEngine, tmp_path: Path) -> None:
    sql = "SELECT 1 / (id - 5) AS q FROM range(10)"
    with pytest.raises(errors.DivisionByZeroError), engine.session() as session:
        session.write(sql, operation_id=str(uuid.uuid4()), uri=f"file://{tmp_path}/out")


def test_explain_gives_a_plan(engine: RunningEngine) -> None:
    with engine.session() as session:
        assert "id" in session.explain("SELECT sum(id) AS s FROM range(10)")


BURNING = "SELECT sum(id % 7 * (id % 11)) AS s FROM range(100000000000)"


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except ServiceError as error:
            raised.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, raised


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "never came about"
        threading.Event().wait(0.02)


def cores(engine: RunningEngine, seconds: float) -> float:
    before = engine.cpu()
    threading.Event().wait(seconds)
    return (engine.cpu() - before) / seconds


def test_interrupt_ends_the_stream_and_the_work(engine: RunningEngine) -> None:
    operation = str(uuid.uuid4())
    with engine.session() as session:
        thread, raised = in_thread(lambda: list(session.execute(BURNING, operation_id=operation)))
        eventually(lambda: cores(engine, 0.5) > 0.05)
        assert session.interrupt(operation)
        thread.join(60)
        assert not thread.is_alive()
    assert [type(error) for error in raised] == [errors.StatementInterruptedError]
    eventually(lambda: cores(engine, 0.5) < 0.04)
    assert engine.rows("SELECT 1 AS a") == [{"a": 1}]


def test_an_engine_says_idle_only_when_no_task_runs(engine: RunningEngine) -> None:
    eventually(lambda: engine.client.idle() or engine.name == "sail")
    operation = str(uuid.uuid4())
    with engine.session() as session:
        thread, raised = in_thread(lambda: list(session.execute(BURNING, operation_id=operation)))
        eventually(lambda: cores(engine, 0.5) > 0.05)
        eventually(lambda: not engine.client.idle())
        session.interrupt(operation)
        thread.join(60)
    assert raised
    eventually(lambda: engine.client.idle() or engine.name == "sail")  # Sail has no way to tell
    assert engine.rows("SELECT 1 AS a") == [{"a": 1}]


def test_warming_up_ends_when_it_is_told(engine: RunningEngine) -> None:
    thread, raised = in_thread(engine.client.warm_up)
    threading.Event().wait(0.5)
    engine.client.end_warm_up()
    thread.join(60)
    assert not thread.is_alive()
    assert not raised
    eventually(lambda: cores(engine, 0.5) < 0.04)


def test_interrupt_before_the_start_is_kept(engine: RunningEngine) -> None:
    operation = str(uuid.uuid4())
    with engine.session() as session:
        session.interrupt(operation)
        with pytest.raises(errors.StatementInterruptedError):
            list(session.execute("SELECT 1", operation_id=operation))


def test_interrupt_right_after_the_start_is_not_lost(engine: RunningEngine) -> None:
    for delay in (0.0, 0.001, 0.01, 0.03):
        operation = str(uuid.uuid4())
        with engine.session() as session:
            stream = session.execute(BURNING, operation_id=operation)
            thread, raised = in_thread(lambda stream=stream: list(stream))  # type: ignore[misc]
            threading.Event().wait(delay)
            assert session.interrupt(operation)
            thread.join(60)
            assert not thread.is_alive()
        assert [type(error) for error in raised] == [errors.StatementInterruptedError]
    eventually(lambda: cores(engine, 0.5) < 0.04)


def test_interrupt_stops_a_write(engine: RunningEngine, tmp_path: Path) -> None:
    operation, uri = str(uuid.uuid4()), f"file://{tmp_path}/out"
    with engine.session() as session:
        thread, raised = in_thread(lambda: session.write(BURNING, operation_id=operation, uri=uri))
        threading.Event().wait(1.0)
        assert session.interrupt(operation)
        thread.join(60)
    assert [type(error) for error in raised] == [errors.StatementInterruptedError]


def test_interrupt_leaves_other_statements_alone(engine: RunningEngine) -> None:
    operation = str(uuid.uuid4())
    with engine.session() as session, engine.session() as other:
        thread, raised = in_thread(lambda: list(session.execute(BURNING, operation_id=operation)))
        kept = other.execute("SELECT count(*) AS n FROM range(100)", operation_id=str(uuid.uuid4()))
        threading.Event().wait(0.3)
        session.interrupt(operation)
        assert [row for batch in kept for row in batch.to_pylist()] == [{"n": 100}]
        thread.join(60)
    assert raised


@pytest.fixture(params=BOTH)
def own_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningEngine]:
    with start_engine(request.param, tmp_path / "runs") as made:
        yield made


def test_killed_engine_is_lost_at_once(own_engine: RunningEngine) -> None:
    with own_engine.session() as session:
        operation = str(uuid.uuid4())
        thread, raised = in_thread(lambda: list(session.execute(BURNING, operation_id=operation)))
        threading.Event().wait(1.0)
        own_engine.process.kill()
        thread.join(60)
        assert [type(error) for error in raised] == [errors.EngineLostError]
        with pytest.raises(errors.EngineLostError):
            run(session, "SELECT 1")
    assert not own_engine.client.alive(2.0)


def test_stopped_engine_is_deaf(own_engine: RunningEngine) -> None:
    own_engine.process.suspend()
    eventually(lambda: bool(own_engine.process.status() == psutil.STATUS_STOPPED))
    began = time.monotonic()
    assert not own_engine.client.alive(0.5)
    assert time.monotonic() - began < 30, "it would be waited for without end"
    own_engine.process.resume()
    assert own_engine.client.alive(10)


BIG = "SELECT id, concat('row ', id) AS s, id * 1.5D AS d FROM range({rows})"


def test_big_result_streams_in_constant_memory(own_engine: RunningEngine) -> None:
    if own_engine.name == "spark":
        pytest.skip("Spark keeps results in its driver: see the next test")
    rows, most = 0, 0
    with own_engine.session() as session:
        stream = session.execute(BIG.format(rows=20_000_000), operation_id=str(uuid.uuid4()))
        for number, batch in enumerate(stream):
            rows += batch.num_rows
            if number % 100 == 0:
                most = max(most, own_engine.process.memory_info().rss)
    assert rows == 20_000_000
    assert most < 500 << 20


def test_result_that_spark_cannot_hold_fails_cleanly(
    own_engine: RunningEngine, tmp_path: Path
) -> None:
    if own_engine.name == "sail":
        pytest.skip("Sail streams")
    noise = np.random.default_rng(0)
    columns = {name: noise.integers(0, 1 << 62, 14_000_000) for name in ("a", "b")}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=500_000, use_dictionary=False)
    table = binding("t", [("a", "bigint"), ("b", "bigint")], [path])
    with own_engine.session(table) as session, pytest.raises(errors.ResultTooLargeError):
        run(session, "SELECT a, b FROM t")
    assert own_engine.rows("SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.spark
@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize("token", [None, "", "another"])
def test_spark_answers_nobody_without_its_token(
    token: str | None, shared_engines: dict[str, RunningEngine]
) -> None:
    spark = shared_engines["spark"]
    client = ConnectClient(spark.address, PLAIN, token)
    session = client.open_session()
    with pytest.raises(errors.EngineLostError, match="does not know us"):
        run(session, "SELECT 1")
    assert not client.alive(5.0)
    client.close()
    assert spark.client.alive(5.0)
