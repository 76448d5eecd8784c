"""What is launched for a batch, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.batches.command import (
    Folders,
    client_command,
    client_environment,
    driver_of,
    environment_of,
)
from jobs.batches.sizes import GIB, SIZES, heap_bytes
from jobs.engines.spark_install import Driver, SparkInstall
from jobs.lifecycle.spec import BatchLanguage, BatchSpec, FileRef, Size
from tests.support.jobs import make_batch_spec

PYTHON = Path("/opt/python")
FOLDERS = Folders(Path("/runs/run_1"))


def ref(name: str) -> FileRef:
    return FileRef(name=name, size=1, sha256="ab" * 32)


def driver(size: Size = SIZES["small"], **changes: Any) -> Driver:
    return driver_of(make_batch_spec(**changes), size, FOLDERS, python=PYTHON)


def option(made: Driver, name: str) -> str | None:
    options = list(made.options)
    return options[options.index(name) + 1] if name in options else None


def test_a_python_program_gets_its_files_and_arguments() -> None:
    made = driver(
        program=ref("app.py"),
        py_files=(ref("lib.zip"),),
        jars=(ref("a.jar"), ref("b.jar")),
        files=(ref("data.csv"),),
        arguments=("--day", "2026-01-01", "a b"),
    )
    assert made.application == ("/runs/run_1/work/app.py", "--day", "2026-01-01", "a b")
    assert option(made, "--py-files") == "/runs/run_1/lib/dli_batch.py,/runs/run_1/work/lib.zip"
    assert option(made, "--jars") == "/runs/run_1/work/a.jar,/runs/run_1/work/b.jar"
    assert option(made, "--files") == "/runs/run_1/work/data.csv"


def test_a_jar_gets_its_class_and_no_python() -> None:
    made = driver(program=ref("app.jar"), language=BatchLanguage.JAR, main_class="com.example.Main")
    assert option(made, "--class") == "com.example.Main"
    assert option(made, "--py-files") is None
    assert made.application == ("/runs/run_1/work/app.jar",)


def test_a_script_is_run_by_our_own_program() -> None:
    made = driver(program=ref("a.sql"), language=BatchLanguage.SQL, arguments=("day=1",))
    assert made.application == (
        "/runs/run_1/lib/run_sql.py",
        "/runs/run_1/lib/statements.json",
        "day=1",
    )


@pytest.mark.parametrize("name", SIZES)
def test_size_makes_cores_and_heap(name: str) -> None:
    made = driver(SIZES[name])
    assert made.master == f"local[{SIZES[name].cores}]"
    assert made.heap_bytes == heap_bytes(SIZES[name], BatchLanguage.PYTHON)
    assert made.confs["spark.sql.shuffle.partitions"] == str(SIZES[name].cores * 4)


def test_the_batch_goes_before_defaults_and_the_service_before_the_batch() -> None:
    made = driver(
        conf={"spark.sql.shuffle.partitions": "99", "spark.eventLog.enabled": "false"}, name="mine"
    )
    assert made.confs["spark.sql.shuffle.partitions"] == "99"
    assert made.confs["spark.eventLog.enabled"] == "true"
    assert made.confs["spark.app.name"] == "mine"
    assert made.confs["spark.pyspark.python"] == str(PYTHON)


def test_the_command_is_java_with_the_same_class_path(tmp_path: Path) -> None:
    install = SparkInstall(cache=tmp_path)
    command = install.command(driver())
    assert command[0] == str(install.java.program)
    assert command[command.index("-cp") + 1] == ":".join(map(str, install.jars))
    assert command[-1] == "/runs/run_1/work/count.py"
    assert "-XX:+ExitOnOutOfMemoryError" in command


def test_the_environment_holds_what_was_asked_and_nothing_of_ours() -> None:
    spec = make_batch_spec(environment={"MODE": "fast", "HOME": "/elsewhere"})
    environment = environment_of(spec, FOLDERS)
    assert environment["MODE"] == "fast"
    assert environment["HOME"] == "/runs/run_1/work"
    assert not [name for name in environment if name.startswith(("AWS_", "DLI_"))]
    tables = environment_of(make_batch_spec(tables=("a.b",)), FOLDERS)
    assert tables["DLI_TABLES"] == "/runs/run_1/lib/tables.json"


def test_a_client_is_plain_python_with_an_address() -> None:
    spec: BatchSpec = make_batch_spec(
        program=ref("app.py"), py_files=(ref("a.py"), ref("b.zip")), arguments=("x",)
    )
    assert client_command(spec, FOLDERS, python=PYTHON) == (
        "/opt/python",
        "/runs/run_1/work/app.py",
        "x",
    )
    environment = client_environment(spec, FOLDERS, remote="sc://127.0.0.1:1/")
    assert environment["SPARK_REMOTE"] == "sc://127.0.0.1:1/"
    assert environment["PYTHONPATH"] == "/runs/run_1/lib:/runs/run_1/work/b.zip"
    assert "SPARK_USER" not in environment


def test_the_result_that_a_driver_collects_is_bounded_by_its_heap() -> None:
    made = driver(Size(cores=1, memory_bytes=4 * GIB))
    assert made.confs["spark.driver.maxResultSize"] == f"{made.heap_bytes // 4 >> 20}m"
